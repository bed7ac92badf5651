//! Attributions: the teacher service and the public API answer them alike.

use domain::{Attribution, AttributionSpec, Error, Result};

use crate::{
    fields::{nested, required, required_from},
    raw::deeper::{explanation::v1::AttributeInstanceResponse, teacher::v1::AttributeImageResponse, types::v1 as raw},
    specs::AttributionRequest,
};

impl From<&Attribution> for AttributeImageResponse {
    fn from(attribution: &Attribution) -> Self {
        Self {
            spec: Some(raw_spec(attribution.spec)),
            heatmap: Some((&attribution.heatmap).into()),
            engine: attribution.engine.clone(),
            dissent: attribution.dissent.as_ref().map(Into::into),
        }
    }
}

impl From<&Attribution> for AttributeInstanceResponse {
    fn from(attribution: &Attribution) -> Self {
        let AttributeImageResponse { spec, heatmap, engine, dissent } = attribution.into();
        Self { spec, heatmap, engine, dissent }
    }
}

impl TryFrom<AttributeImageResponse> for Attribution {
    type Error = Error;

    fn try_from(response: AttributeImageResponse) -> Result<Self> {
        let AttributionRequest { method, target, baseline } = required_from("spec", response.spec)?;
        let target = required("spec.target_label", target)?;
        Ok(Self {
            spec: AttributionSpec { method, target, baseline },
            heatmap: required_from("heatmap", response.heatmap)?,
            engine: response.engine,
            dissent: response.dissent.map(|dissent| nested("dissent", dissent)).transpose()?,
        })
    }
}

impl TryFrom<AttributeInstanceResponse> for Attribution {
    type Error = Error;

    fn try_from(response: AttributeInstanceResponse) -> Result<Self> {
        let AttributeInstanceResponse { spec, heatmap, engine, dissent } = response;
        AttributeImageResponse { spec, heatmap, engine, dissent }.try_into()
    }
}

fn raw_spec(spec: AttributionSpec) -> raw::AttributionSpec {
    let AttributionSpec { method, target, baseline } = spec;
    (&AttributionRequest { method, target: Some(target), baseline }).into()
}

#[cfg(test)]
mod tests {
    use domain::{AttributionMethod, Heatmap, ImageShape, Label, Logits, Temperature};

    use super::*;

    fn attribution(dissents: bool) -> Attribution {
        let soft_labels = Logits::new(vec![2.0, 1.0]).unwrap().soft_labels(Temperature::ONE);
        Attribution {
            spec: AttributionSpec {
                method: AttributionMethod::GradientTimesInput,
                target: Label(1),
                baseline: Some(Label(0)),
            },
            heatmap: Heatmap::new(ImageShape::gray(1, 2), vec![0.5, -1.0]).unwrap(),
            engine: "f32".to_owned(),
            dissent: dissents.then_some(soft_labels),
        }
    }

    #[test]
    fn an_attribution_survives_both_of_its_messages() {
        for attribution in [attribution(false), attribution(true)] {
            assert_eq!(Attribution::try_from(AttributeImageResponse::from(&attribution)), Ok(attribution.clone()));
            assert_eq!(Attribution::try_from(AttributeInstanceResponse::from(&attribution)), Ok(attribution));
        }
    }

    #[test]
    fn an_attribution_of_nothing_or_with_a_torn_dissent_is_refused() {
        let mut without_target = AttributeImageResponse::from(&attribution(false));
        without_target.spec.as_mut().unwrap().target_label = None;
        let refused = |response: AttributeImageResponse| Attribution::try_from(response).unwrap_err().to_string();
        assert_eq!(refused(without_target), "spec.target_label: is required");
        let mut torn = AttributeImageResponse::from(&attribution(true));
        torn.dissent.as_mut().unwrap().probabilities.pop();
        assert!(refused(torn).starts_with("dissent.probabilities: "));
    }
}
