//! From labelled neighbors to a student with its fidelity: what is fitted to which part of them, and what
//! is read from the result. How a fit works is each solver's own affair.

pub(crate) mod affine;
mod measure;
pub(crate) mod progress;
pub(crate) mod samples;

use domain::{
    Error, Fidelity, Heatmap, Image, ImageBatch, ImageShape, Label, LinearClassifier, Logits, NeighborhoodSpec, Result,
    SoftLabels, Solver, Stability, StudentSpec, Temperature, Violations, explanation::contrast_label,
};

use crate::{
    adam,
    lbfgs::{self, Limits},
    objective::SoftCrossEntropy,
    ridge::{MAX_CLOSED_FORM_SIZE, Ridge},
};
use affine::Affine;
pub use progress::FitProgress;
use progress::Steps;
use samples::{FOLD_COUNT, Part, Samples};

/// Most pixels of an image.
pub const MAX_PIXEL_COUNT: usize = 16_384;
/// Most labels.
pub const MAX_LABEL_COUNT: usize = 1_000;
/// Most weights of a student: its maps fit into one message of 4 MiB.
pub const MAX_WEIGHT_COUNT: usize = 400_000;
/// Most logits over all neighbors.
pub const MAX_LOGIT_COUNT: usize = 2_000_000;
/// Penalty of early students at least: with few neighbors a weaker one leaves a noisy map.
pub const EARLY_L2: f64 = 1e-2;
/// Neighbors up to which a student that is not the last counts as early.
pub const EARLY_NEIGHBOR_COUNT: usize = 128;

/// What a student is distilled from, as it comes in.
#[derive(Debug, Clone)]
pub struct Distiller {
    spec: StudentSpec,
    instance: Image,
    instance_logits: Logits,
    contrast_label: Label,
    /// `[neighbor][pixel]`
    pixels: Vec<u8>,
    /// `[neighbor][label]`
    logits: Vec<f32>,
}

/// A fitted student and all that is needed to read it; fields as in `domain::Student`.
#[derive(Debug, Clone, PartialEq)]
pub struct Distillation {
    /// What was asked for.
    pub spec: StudentSpec,
    /// Neighbors it was fitted to.
    pub neighbor_count: usize,
    /// The fitted classifier.
    pub classifier: LinearClassifier,
    /// weight × (pixel − neighborhood mean), one a label.
    pub contribution_maps: Vec<Heatmap>,
    /// Weights of the predicted label minus weights of the contrast label.
    pub contrast_map: Heatmap,
    /// The teacher's answer at the instance.
    pub predicted_label: Label,
    /// What it is contrasted with.
    pub contrast_label: Label,
    /// The student's answer at the instance, at the spec's temperature.
    pub student_labels: SoftLabels,
    /// The teacher's answer at the instance, at the same temperature.
    pub teacher_labels: SoftLabels,
    /// How far to trust it.
    pub fidelity: Fidelity,
}

impl Distiller {
    /// Checks all that can be known before the first neighbor. `contrast_with` is the gold label, where
    /// there is one; `neighbor_count` is how many will come.
    pub fn new(
        spec: StudentSpec,
        instance: Image,
        instance_logits: Logits,
        contrast_with: Option<Label>,
        neighbor_count: usize,
    ) -> Result<Self> {
        let (pixel_count, label_count) = (instance.shape().pixel_count(), instance_logits.label_count());
        let mut violations = Violations::default();
        violations.take("spec", spec.validate());
        violations.check(pixel_count <= MAX_PIXEL_COUNT, "instance", || {
            format!("{pixel_count} pixels are more than {MAX_PIXEL_COUNT}")
        });
        violations.check((2..=MAX_LABEL_COUNT).contains(&label_count), "instance_logits", || {
            format!("{label_count} labels are not 2 to {MAX_LABEL_COUNT}")
        });
        violations.check(pixel_count.saturating_mul(label_count) <= MAX_WEIGHT_COUNT, "instance_logits", || {
            format!("{label_count} labels × {pixel_count} pixels are more than {MAX_WEIGHT_COUNT} weights")
        });
        if let Some(label) = contrast_with {
            violations.check(label.index() < label_count, "contrast_label", || {
                format!("{label} is not below {label_count}")
            });
        }
        let counts = NeighborhoodSpec::MIN_NEIGHBOR_COUNT..=NeighborhoodSpec::MAX_NEIGHBOR_COUNT;
        violations.check(counts.contains(&neighbor_count), "neighbor_count", || {
            format!("{neighbor_count} is outside {} to {}", counts.start(), counts.end())
        });
        violations.check(neighbor_count.min(pixel_count) <= MAX_CLOSED_FORM_SIZE, "neighbor_count", || {
            format!("{neighbor_count} is more than {MAX_CLOSED_FORM_SIZE}, the most for images of so many pixels")
        });
        violations.check(neighbor_count.saturating_mul(label_count) <= MAX_LOGIT_COUNT, "neighbor_count", || {
            format!("{neighbor_count} neighbors × {label_count} labels are more than {MAX_LOGIT_COUNT} logits")
        });
        violations.finish()?;
        let contrast_label = contrast_label(&instance_logits, contrast_with);
        Ok(Self { spec, instance, instance_logits, contrast_label, pixels: Vec::new(), logits: Vec::new() })
    }

    /// Appends neighbors. `logits` is `[image][label]`. How they are cut into chunks changes no student.
    pub fn push(&mut self, images: &ImageBatch, logits: &[f32]) -> Result<()> {
        let label_count = self.instance_logits.label_count();
        if images.shape() != self.instance.shape() {
            return Err(Error::ImageShapeMismatch { got: images.shape(), expected: self.instance.shape() });
        }
        let mut violations = Violations::default();
        violations.check(logits.len() == images.len() * label_count, "logits", || {
            format!("{} values are not {label_count} for each of {} images", logits.len(), images.len())
        });
        if let Some(position) = logits.iter().position(|logit| !logit.is_finite()) {
            violations.add("logits", format!("value {position} is not finite"));
        }
        let room = NeighborhoodSpec::MAX_NEIGHBOR_COUNT - self.neighbor_count();
        violations.check(images.len() <= room, "images", || {
            format!("more than {} neighbors in all", NeighborhoodSpec::MAX_NEIGHBOR_COUNT)
        });
        violations.finish()?;
        self.pixels.extend_from_slice(images.pixels());
        self.logits.extend_from_slice(logits);
        Ok(())
    }

    /// Neighbors that came so far.
    pub fn neighbor_count(&self) -> usize {
        self.logits.len() / self.instance_logits.label_count()
    }

    /// Images it takes.
    pub fn shape(&self) -> ImageShape {
        self.instance.shape()
    }

    /// How soft its labels are.
    pub fn temperature(&self) -> Temperature {
        self.spec.temperature
    }

    /// The student of what came so far. An early student that is not the last is fitted with λ of at least
    /// [`EARLY_L2`]. `observe` hears of each step and stops the work by failing.
    pub fn fit(&self, last: bool, observe: &mut dyn FnMut(FitProgress) -> Result<()>) -> Result<Distillation> {
        let samples = self.samples(self.spec.temperature)?;
        let early = !last && samples.row_count <= EARLY_NEIGHBOR_COUNT;
        let l2 = if early { self.spec.l2.max(EARLY_L2) } else { self.spec.l2 };
        let temperature = self.spec.temperature.get();
        let own_weight = self.spec.instance_weight;
        let shown_fits = if own_weight > 0.0 { 4 } else { 3 };
        let objective = |instance_weight| SoftCrossEntropy {
            samples: &samples,
            targets: &samples.targets,
            instance_weight,
            l2,
        };
        match self.spec.solver {
            Solver::Ridge => {
                let ridge = Ridge::new(&samples);
                let mut steps = Steps::new(samples.row_count, FOLD_COUNT as u32 + shown_fits, 1, observe);
                let mut latest = None;
                self.assess(&samples, FOLD_COUNT, own_weight, |part, weight| {
                    steps.begin_fit();
                    steps.advance(0.0)?;
                    let solution = match latest.take() {
                        Some((solved, solution)) if solved == part => solution,
                        _ => ridge.solve(part, l2)?,
                    };
                    let student = solution.with_instance(&samples, weight);
                    latest = Some((part, solution));
                    Ok(student)
                })
            }
            Solver::Lbfgs { iteration_count, tolerance } => {
                let ridge = Ridge::new(&samples);
                let mut steps = Steps::new(samples.row_count, 1 + shown_fits, iteration_count, observe);
                self.assess(&samples, 1, own_weight, |part, weight| {
                    steps.begin_fit();
                    let start = ridge.solve(part, l2)?.with_instance(&samples, weight).scaled(1.0 / temperature);
                    let (objective, rows) = (objective(weight), part.indices(samples.row_count));
                    let limits = Limits { iteration_count, tolerance };
                    let student = descend(&objective, &rows, start, limits, &mut steps)?;
                    Ok(student.scaled(temperature))
                })
            }
            Solver::Adam { epoch_count, batch_size, learning_rate, seed } => {
                let schedule = adam::Schedule { epoch_count, batch_size, learning_rate, seed };
                let mut steps = Steps::new(samples.row_count, 1 + shown_fits, epoch_count, observe);
                self.assess(&samples, 1, own_weight, |part, weight| {
                    steps.begin_fit();
                    let rows = part.indices(samples.row_count);
                    let student = adam::fit(&objective(weight), rows, schedule, &mut steps)?;
                    Ok(student.scaled(temperature))
                })
            }
        }
    }

    /// The neighbors that the spec allows, in the form that solvers read.
    pub(crate) fn samples(&self, temperature: Temperature) -> Result<Samples> {
        let count = self.neighbor_count().min(self.spec.neighbor_limit.unwrap_or(usize::MAX));
        if count < NeighborhoodSpec::MIN_NEIGHBOR_COUNT {
            let least = NeighborhoodSpec::MIN_NEIGHBOR_COUNT;
            return Err(Error::invalid("neighbor_count", format!("{count} neighbors came, a student needs {least}")));
        }
        let (pixel_count, label_count) = (self.instance.shape().pixel_count(), self.instance_logits.label_count());
        Samples::new(
            &self.pixels[..count * pixel_count],
            &self.logits[..count * label_count],
            self.instance.pixels(),
            self.instance_logits.values(),
            temperature,
        )
    }

    /// Fits held-out students, the shown one, the one without the instance's own weight and two halves, and
    /// reads them. `fit` answers logits at temperature 1.
    pub(crate) fn assess(
        &self,
        samples: &Samples,
        fold_count: usize,
        own_weight: f64,
        mut fit: impl FnMut(Part, f64) -> Result<Affine>,
    ) -> Result<Distillation> {
        let mut held_out = measure::HeldOut::default();
        for fold in 0..fold_count {
            let student = fit(Part::WithoutFold(fold), own_weight)?;
            held_out.add_fold(samples, fold, &student, self.spec.temperature.get());
        }
        let held_out = held_out.finish(samples);
        let shown = fit(Part::All, own_weight)?;
        let evidence = if own_weight > 0.0 { fit(Part::All, 0.0)? } else { shown.clone() };
        let halves = [fit(Part::Half(0), own_weight)?, fit(Part::Half(1), own_weight)?];

        let shape = self.instance.shape();
        let (predicted_label, contrast_label) = (self.instance_logits.predicted_label(), self.contrast_label);
        let at_instance = |student: &Affine| {
            measure::instance_fit(&student.instance_logits(samples), &samples.instance_logits)
        };
        let (instance_fitted, instance_held_out) = (at_instance(&shown), at_instance(&evidence));
        let [one, other] = halves.map(|half| -> Result<Heatmap> {
            half.into_classifier(samples, shape)?.contrast_map(predicted_label, contrast_label)
        });
        let stability = Stability { split_half_cosine: one?.cosine(&other?).clamp(-1.0, 1.0) };
        let fidelity = Fidelity {
            held_out_neighbor_count: held_out.neighbor_count,
            cross_fitted: fold_count == FOLD_COUNT,
            top1_agreement: held_out.top1_agreement,
            majority_baseline: held_out.majority_baseline,
            mean_kl: held_out.mean_kl,
            constant_kl: held_out.constant_kl,
            r_squared: held_out.r_squared,
            instance_held_out,
            instance_fitted,
            stability,
            label_counts: measure::label_counts(samples, 0..samples.row_count),
        };

        let classifier = shown.into_classifier(samples, shape)?;
        let mean = self.mean_unit_pixels(samples.row_count);
        let labels = 0..classifier.label_count() as u32;
        let contribution_maps = labels
            .map(|label| classifier.contribution_map(Label(label), &self.instance, &mean))
            .collect::<Result<Vec<Heatmap>>>()?;
        Ok(Distillation {
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

/// L-BFGS on the objective from a start; both are divided by the temperature.
fn descend(
    objective: &SoftCrossEntropy,
    rows: &[usize],
    start: Affine,
    limits: Limits,
    steps: &mut Steps,
) -> Result<Affine> {
    let mut student = start.clone();
    let mut trial = start;
    let mut evaluate = |parameters: &[f64], gradient: &mut [f64]| {
        trial.parameters.copy_from_slice(parameters);
        objective.evaluate(rows, &trial, gradient).total()
    };
    lbfgs::minimize(&mut student.parameters, limits, &mut evaluate, |loss| steps.advance(loss))?;
    let mut gradient = vec![0.0; student.parameters.len()];
    objective.refuse_divergence(objective.evaluate(rows, &student, &mut gradient))?;
    Ok(student)
}
