//! Students and their fidelity.

use domain::{
    Error, Fidelity, InstanceFit, Label, LinearClassifier, ResourceName, Result, Stability, Student, fidelity::Verdict,
};

use crate::{
    fields::{each, required, required_from},
    raw::deeper::types::v1 as raw,
};

impl From<InstanceFit> for raw::InstanceFit {
    fn from(fit: InstanceFit) -> Self {
        Self { agrees: fit.agrees, probability_gap: fit.probability_gap }
    }
}

fn instance_fit(field: &str, fit: Option<raw::InstanceFit>) -> Result<InstanceFit> {
    let fit = required(field, fit)?;
    Ok(InstanceFit { agrees: fit.agrees, probability_gap: fit.probability_gap })
}

impl From<Verdict> for raw::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Trust => Self::Trust,
            Verdict::Caution => Self::Caution,
            Verdict::Distrust => Self::Distrust,
            Verdict::OneClass => Self::OneClass,
        }
    }
}

impl From<&Fidelity> for raw::Fidelity {
    fn from(fidelity: &Fidelity) -> Self {
        Self {
            held_out_neighbor_count: fidelity.held_out_neighbor_count as u32,
            cross_fitted: fidelity.cross_fitted,
            top1_agreement: fidelity.top1_agreement,
            majority_baseline: fidelity.majority_baseline,
            mean_kl: fidelity.mean_kl,
            constant_kl: fidelity.constant_kl,
            r_squared: fidelity.r_squared,
            instance_held_out: Some(fidelity.instance_held_out.into()),
            instance_fitted: Some(fidelity.instance_fitted.into()),
            split_half_cosine: fidelity.stability.split_half_cosine,
            stability: fidelity.stability.predicted_cosine(),
            label_counts: fidelity.label_counts.clone(),
            verdict: raw::Verdict::from(fidelity.verdict()).into(),
        }
    }
}

impl TryFrom<raw::Fidelity> for Fidelity {
    type Error = Error;

    fn try_from(fidelity: raw::Fidelity) -> Result<Self> {
        Ok(Self {
            held_out_neighbor_count: fidelity.held_out_neighbor_count as usize,
            cross_fitted: fidelity.cross_fitted,
            top1_agreement: fidelity.top1_agreement,
            majority_baseline: fidelity.majority_baseline,
            mean_kl: fidelity.mean_kl,
            constant_kl: fidelity.constant_kl,
            r_squared: fidelity.r_squared,
            instance_held_out: instance_fit("instance_held_out", fidelity.instance_held_out)?,
            instance_fitted: instance_fit("instance_fitted", fidelity.instance_fitted)?,
            stability: Stability { split_half_cosine: fidelity.split_half_cosine },
            label_counts: fidelity.label_counts,
        })
    }
}

impl From<&Student> for raw::FittedStudent {
    fn from(student: &Student) -> Self {
        let labels = 0..student.classifier.label_count() as u32;
        let weight_maps = labels.map(|label| {
            let map = student.classifier.weight_map(Label(label)).expect("the label is below label_count");
            raw::Heatmap::from(&map)
        });
        Self {
            spec: Some((&student.spec).into()),
            neighbor_count: student.neighbor_count as u32,
            weight_maps: weight_maps.collect(),
            biases: student.classifier.biases().to_vec(),
            contribution_maps: student.contribution_maps.iter().map(Into::into).collect(),
            contrast_map: Some((&student.contrast_map).into()),
            predicted_label: student.predicted_label.0,
            contrast_label: student.contrast_label.0,
            student_labels: Some((&student.student_labels).into()),
            teacher_labels: Some((&student.teacher_labels).into()),
            fidelity: Some((&student.fidelity).into()),
        }
    }
}

/// Reads a fitted student and gives it its name. Weights have come as `f32`, which is what is shown.
pub fn student(name: ResourceName, fitted: raw::FittedStudent) -> Result<Student> {
    let weight_maps: Vec<domain::Heatmap> = each("weight_maps", fitted.weight_maps)?;
    let shape = weight_maps.first().map(domain::Heatmap::shape);
    let shape = required("weight_maps", shape)?;
    let weights = weight_maps.iter().map(|map| map.values().iter().map(|&w| f64::from(w)).collect()).collect();
    let student = Student {
        name,
        spec: required_from("spec", fitted.spec)?,
        neighbor_count: fitted.neighbor_count as usize,
        classifier: LinearClassifier::new(shape, weights, fitted.biases)?,
        contribution_maps: each("contribution_maps", fitted.contribution_maps)?,
        contrast_map: required_from("contrast_map", fitted.contrast_map)?,
        predicted_label: Label(fitted.predicted_label),
        contrast_label: Label(fitted.contrast_label),
        student_labels: required_from("student_labels", fitted.student_labels)?,
        teacher_labels: required_from("teacher_labels", fitted.teacher_labels)?,
        fidelity: required_from("fidelity", fitted.fidelity)?,
    };
    student.validate()?;
    Ok(student)
}
