//! From labelled neighbors to a student: collects them as they come and fits what is there with the solver
//! that was asked for. Which fits one student needs stands in `assessment`, how a fit works in each solver.

pub(crate) mod affine;
mod assessment;
pub mod limits;
mod measure;
pub(crate) mod progress;
pub(crate) mod samples;

use domain::{
    Error, Image, ImageBatch, ImageShape, Label, Logits, NeighborhoodSpec, Result, Solver, Student, StudentSpec,
    Temperature, Violations, explanation::contrast_label,
};

use crate::{
    adam,
    lbfgs::{self, Limits},
    objective::SoftCrossEntropy,
    ridge::Ridge,
};
use affine::Affine;
use assessment::other_fit_count;
pub use progress::FitProgress;
use progress::Steps;
use samples::{FOLD_COUNT, Samples};

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
        limits::check(&spec, &instance, &instance_logits, contrast_with, neighbor_count)?;
        let contrast_label = contrast_label(&instance_logits, contrast_with);
        Ok(Self { spec, instance, instance_logits, contrast_label, pixels: Vec::new(), logits: Vec::new() })
    }

    /// Appends neighbors. `logits` is `[image][label]`. How they are cut into chunks changes no student.
    pub fn push(&mut self, images: &ImageBatch, logits: &[f32]) -> Result<()> {
        let label_count = self.instance_logits.label_count();
        if images.shape() != self.instance.shape() {
            return Err(Error::image_shape(images.shape(), self.instance.shape()));
        }
        let mut violations = Violations::default();
        violations.check(logits.len() == images.len() * label_count, "logits", || {
            format!("{} values are not {label_count} for each of {} images", logits.len(), images.len())
        });
        limits::check_logits(logits, "logits", &mut violations);
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

    /// The student of what came so far, without a name of its own. An early student that is not the last
    /// is fitted with λ of at least [`EARLY_L2`]. `observe` hears of each step and stops the work by failing.
    pub fn fit(&self, last: bool, observe: &mut dyn FnMut(FitProgress) -> Result<()>) -> Result<Student> {
        let samples = self.samples(self.spec.temperature)?;
        let early = !last && samples.row_count <= EARLY_NEIGHBOR_COUNT;
        let l2 = if early { self.spec.l2.max(EARLY_L2) } else { self.spec.l2 };
        let temperature = self.spec.temperature.get();
        let own_weight = self.spec.instance_weight;
        let other_fits = other_fit_count(own_weight);
        let objective =
            |instance_weight| SoftCrossEntropy { samples: &samples, targets: &samples.targets, instance_weight, l2 };
        match self.spec.solver {
            Solver::Ridge => {
                let ridge = Ridge::new(&samples);
                let mut steps = Steps::new(samples.row_count, FOLD_COUNT as u32 + other_fits, 1, observe);
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
                let mut steps = Steps::new(samples.row_count, 1 + other_fits, iteration_count, observe);
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
                let mut steps = Steps::new(samples.row_count, 1 + other_fits, epoch_count, observe);
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
