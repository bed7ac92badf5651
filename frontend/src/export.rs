//! What an explanation says, as a file for a notebook: every number on the page, none of its pixels of
//! neighbors. Pure; `components::export_button` hands it over.

use std::fmt::Write;

use domain::{Explanation, Fidelity, Instance, NeighborhoodSpec, SoftLabels, Solver, Student};

use crate::components::chosen::label_name;

/// JSON of an explanation and the student that is shown with it. Maps are row-major, in logits per unit
/// of ink; probabilities are in the order of `label_names`.
pub fn explanation_json(explanation: &Explanation, student: &Student, names: &[String]) -> String {
    let mut json = Object::default();
    json.text("explanation", explanation.name.as_str());
    json.text("student", student.name.as_str());
    json.text("teacher", explanation.teacher.as_str());
    json.text("autoencoder", explanation.autoencoder.as_str());
    let instance = match &explanation.instance {
        Instance::Example(name) => name.to_string(),
        Instance::Image { .. } => "an image of one's own".to_owned(),
    };
    json.text("instance", &instance);
    json.raw("label_names", &list(names.iter().map(|name| quoted(name))));
    if let Some(gold) = explanation.gold_label {
        json.text("gold_label", &label_name(names, gold));
    }
    json.text("predicted_label", &label_name(names, student.predicted_label));
    json.text("contrast_label", &label_name(names, student.contrast_label));
    if let Some(labels) = &explanation.soft_labels {
        json.raw("teacher_probabilities", &probabilities(labels));
    }
    json.raw("neighborhood", &neighborhood(&explanation.neighborhood));
    json.raw("distillation", &distillation(student));
    json.raw("fidelity", &fidelity(&student.fidelity));
    let shape = student.classifier.shape();
    json.raw("map_shape", &format!("[{},{},{}]", shape.channels, shape.height, shape.width));
    json.raw("biases", &numbers(student.classifier.biases().iter().copied()));
    json.raw("weight_maps", &list(student.classifier.weights().iter().map(|map| numbers(map.iter().copied()))));
    let heatmap = |values: &[f32]| numbers(values.iter().map(|&value| f64::from(value)));
    json.raw("contribution_maps", &list(student.contribution_maps.iter().map(|map| heatmap(map.values()))));
    json.raw("contrast_map", &heatmap(student.contrast_map.values()));
    json.finish()
}

fn neighborhood(spec: &NeighborhoodSpec) -> String {
    let mut json = Object::default();
    json.number("neighbor_count", spec.neighbor_count as f64);
    json.number("radius", f64::from(spec.radius));
    json.raw("seed", &spec.seed.to_string());
    json.text("distribution", &format!("{:?}", spec.distribution).to_lowercase());
    json.text("anchoring", &format!("{:?}", spec.anchoring).to_lowercase());
    let range = |range: &domain::LatentRange| {
        let mut json = Object::default();
        json.number("dimension", range.dimension as f64);
        json.number("low", f64::from(range.low));
        json.number("high", f64::from(range.high));
        json.finish()
    };
    json.raw("ranges", &list(spec.ranges.iter().map(range)));
    if let Some(center) = &spec.center {
        json.raw("center", &numbers(center.iter().map(|&value| f64::from(value))));
    }
    json.finish()
}

fn distillation(student: &Student) -> String {
    let spec = &student.spec;
    let mut json = Object::default();
    let solver = match spec.solver {
        Solver::Ridge => "ridge",
        Solver::Lbfgs { .. } => "lbfgs",
        Solver::Adam { .. } => "adam",
    };
    json.text("solver", solver);
    match spec.solver {
        Solver::Ridge => {}
        Solver::Lbfgs { iteration_count, tolerance } => {
            json.number("iteration_count", f64::from(iteration_count));
            json.number("tolerance", tolerance);
        }
        Solver::Adam { epoch_count, batch_size, learning_rate, seed } => {
            json.number("epoch_count", f64::from(epoch_count));
            json.number("batch_size", f64::from(batch_size));
            json.number("learning_rate", learning_rate);
            json.raw("seed", &seed.to_string());
        }
    }
    json.number("temperature", spec.temperature.get());
    json.number("l2", spec.l2);
    json.number("instance_weight", spec.instance_weight);
    json.number("neighbor_count", student.neighbor_count as f64);
    json.raw("student_probabilities", &probabilities(&student.student_labels));
    json.raw("teacher_probabilities", &probabilities(&student.teacher_labels));
    json.finish()
}

fn fidelity(fidelity: &Fidelity) -> String {
    let mut json = Object::default();
    json.text("verdict", &format!("{:?}", fidelity.verdict()).to_lowercase());
    json.number("held_out_neighbor_count", fidelity.held_out_neighbor_count as f64);
    json.number("top1_agreement", fidelity.top1_agreement);
    json.number("majority_baseline", fidelity.majority_baseline);
    json.number("mean_kl_nats", fidelity.mean_kl);
    json.number("constant_kl_nats", fidelity.constant_kl);
    json.number("r_squared", fidelity.r_squared);
    for (key, fit) in [("held_out", fidelity.instance_held_out), ("fitted", fidelity.instance_fitted)] {
        json.raw(&format!("agrees_at_instance_{key}"), &fit.agrees.to_string());
        json.number(&format!("probability_gap_at_instance_{key}"), fit.probability_gap);
    }
    json.number("stability_cosine", fidelity.stability.predicted_cosine());
    json.raw("label_counts", &list(fidelity.label_counts.iter().map(ToString::to_string)));
    json.finish()
}

fn probabilities(labels: &SoftLabels) -> String {
    numbers(labels.probabilities.iter().copied())
}

fn numbers(values: impl Iterator<Item = f64>) -> String {
    list(values.map(number))
}

/// JSON knows no infinity.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { "null".to_owned() }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // Writing into a string cannot fail.
            control if control.is_control() => drop(write!(quoted, "\\u{:04x}", control as u32)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A JSON object in the making.
#[derive(Default)]
struct Object(Vec<String>);

impl Object {
    fn raw(&mut self, key: &str, value: &str) {
        self.0.push(format!("{}:{value}", quoted(key)));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    fn number(&mut self, key: &str, value: f64) {
        self.raw(key, &number(value));
    }

    fn finish(self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use domain::ExplanationState;

    use super::*;
    use crate::state::testing;

    #[test]
    fn every_number_of_the_page_is_in_the_file() {
        let request = testing::explanation_request();
        let explanation = testing::explanation(&request, 1_000, ExplanationState::Succeeded);
        let json = explanation_json(&explanation, &testing::student(0.003), &["zero".into(), "one".into()]);
        for part in [
            r#""instance":"datasets/mnist/examples/train-1""#,
            r#""predicted_label":"one","contrast_label":"zero""#,
            r#""neighborhood":{"neighbor_count":1000,"radius":0.5,"seed":7,"distribution":"uniform""#,
            r#""solver":"ridge","temperature":2,"l2":0.003"#,
            r#""top1_agreement":0.9"#,
            r#""map_shape":[1,1,2]"#,
            r#""weight_maps":[[0,0],[0,0]]"#,
            r#""contrast_map":[0,1]"#,
        ] {
            assert!(json.contains(part), "{part} is not in {json}");
        }
        let depth = json.chars().fold(0, |depth, letter| match letter {
            '{' | '[' => depth + 1,
            '}' | ']' => depth - 1,
            _ => depth,
        });
        assert_eq!(depth, 0);
    }

    #[test]
    fn text_and_numbers_that_json_does_not_know_are_kept_out() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
        assert_eq!(number(f64::NAN), "null");
    }
}
