//! Which fits one student and its fidelity need, and what is read from them.

use domain::{Fidelity, Heatmap, Label, ResourceName, Result, Stability, Student};

use super::{
    Distiller,
    affine::Affine,
    measure::{HeldOut, instance_fit, label_counts},
    samples::{FOLD_COUNT, Part, Samples},
};

/// Ids of a student that nobody has named yet: whoever keeps it does.
const UNNAMED: &[&str] = &["unnamed", "unnamed"];

/// Fits beside the held-out ones: the shown student and two halves, and, where the instance has a weight of
/// its own, one without it.
pub(super) fn other_fit_count(instance_weight: f64) -> u32 {
    if instance_weight > 0.0 { 4 } else { 3 }
}

impl Distiller {
    /// Fits students that have not seen a fold (the first `fold_count` of five), the shown one, the one
    /// without the instance's own weight and two halves, and reads them all. `fit` answers logits at
    /// temperature 1.
    pub(crate) fn assess(
        &self,
        samples: &Samples,
        fold_count: usize,
        instance_weight: f64,
        mut fit: impl FnMut(Part, f64) -> Result<Affine>,
    ) -> Result<Student> {
        let mut held_out = HeldOut::default();
        for fold in 0..fold_count {
            let student = fit(Part::WithoutFold(fold), instance_weight)?;
            held_out.add_fold(samples, fold, &student, self.spec.temperature.get());
        }
        let held_out = held_out.finish(samples);
        let shown = fit(Part::All, instance_weight)?;
        let evidence = if instance_weight > 0.0 { fit(Part::All, 0.0)? } else { shown.clone() };
        let halves = [fit(Part::Half(0), instance_weight)?, fit(Part::Half(1), instance_weight)?];

        let at_instance = |student: &Affine| instance_fit(&student.instance_logits(samples), &samples.instance_logits);
        let fidelity = Fidelity {
            held_out_neighbor_count: held_out.neighbor_count,
            cross_fitted: fold_count == FOLD_COUNT,
            top1_agreement: held_out.top1_agreement,
            majority_baseline: held_out.majority_baseline,
            mean_kl: held_out.mean_kl,
            constant_kl: held_out.constant_kl,
            r_squared: held_out.r_squared,
            instance_held_out: at_instance(&evidence),
            instance_fitted: at_instance(&shown),
            stability: self.stability(samples, halves)?,
            label_counts: label_counts(samples, 0..samples.row_count),
        };
        self.present(samples, shown, fidelity)
    }

    fn stability(&self, samples: &Samples, halves: [Affine; 2]) -> Result<Stability> {
        let (predicted, other) = (self.instance_logits.predicted_label(), self.contrast_label);
        let contrast_map =
            |half: Affine| half.into_classifier(samples, self.instance.shape())?.contrast_map(predicted, other);
        let [one, two] = halves.map(contrast_map);
        // Rounding may carry the cosine of two equal maps past 1.
        Ok(Stability { split_half_cosine: one?.cosine(&two?).clamp(-1.0, 1.0) })
    }

    /// The shown student as everybody reads it.
    fn present(&self, samples: &Samples, shown: Affine, fidelity: Fidelity) -> Result<Student> {
        let (predicted_label, contrast_label) = (self.instance_logits.predicted_label(), self.contrast_label);
        let classifier = shown.into_classifier(samples, self.instance.shape())?;
        let mean = self.mean_unit_pixels(samples.row_count);
        let labels = 0..classifier.label_count() as u32;
        let contribution_maps = labels
            .map(|label| classifier.contribution_map(Label(label), &self.instance, &mean))
            .collect::<Result<Vec<Heatmap>>>()?;
        Ok(Student {
            name: ResourceName::new(ResourceName::STUDENT, UNNAMED).expect("the placeholder is a name"),
            spec: self.spec.clone(),
            neighbor_count: samples.row_count,
            contribution_maps,
            contrast_map: classifier.contrast_map(predicted_label, contrast_label)?,
            predicted_label,
            contrast_label,
            student_labels: classifier.soft_labels(&self.instance, self.spec.temperature)?,
            teacher_labels: self.instance_logits.soft_labels(self.spec.temperature),
            fidelity,
            classifier,
        })
    }

    /// The neighborhood's mean image, `[pixel]` in `[0, 1]`.
    fn mean_unit_pixels(&self, neighbor_count: usize) -> Vec<f64> {
        let pixel_count = self.instance.shape().pixel_count();
        let mut sums = vec![0u64; pixel_count];
        for row in self.pixels.chunks_exact(pixel_count).take(neighbor_count) {
            sums.iter_mut().zip(row).for_each(|(sum, &pixel)| *sum += u64::from(pixel));
        }
        sums.iter().map(|&sum| sum as f64 / (255.0 * neighbor_count as f64)).collect()
    }
}
