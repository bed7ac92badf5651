//! The instance by itself: where it lies, what comes back, and what the teacher says to both.

use domain::{
    Error, Explanation, Image, ImageBatch, Label, Latent, Logits, Reconstruction, ResourceName, Result, Temperature,
};

use crate::ports::Models;

/// An instance with all that one round of encoding, decoding and labelling tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedInstance {
    /// Its pixels.
    pub image: Image,
    /// Where it lies.
    pub latent: Latent,
    /// The teacher's answer to it.
    pub logits: Logits,
    /// dec(z0).
    pub reconstruction: Image,
    /// The teacher's answer to the reconstruction.
    pub reconstruction_logits: Logits,
}

impl EncodedInstance {
    /// The reconstruction with its check.
    pub fn checked_reconstruction(&self) -> Reconstruction {
        Reconstruction {
            image: self.reconstruction.clone(),
            soft_labels: self.reconstruction_logits.soft_labels(Temperature::ONE),
            keeps_label: self.reconstruction_logits.predicted_label() == self.logits.predicted_label(),
        }
    }

    /// Fills in what an explanation says of its instance.
    pub fn describe(&self, explanation: &mut Explanation) {
        explanation.soft_labels = Some(self.logits.soft_labels(Temperature::ONE));
        explanation.latent = Some(self.latent.clone());
        explanation.reconstruction = Some(self.checked_reconstruction());
    }
}

/// Encodes an image and labels it together with its reconstruction.
pub async fn encode_instance(
    models: &Models,
    teacher: &ResourceName,
    autoencoder: &ResourceName,
    image: &Image,
) -> Result<EncodedInstance> {
    let alone = ImageBatch::from_images(image.shape(), [image])?;
    let latents = models.autoencoders.encode(autoencoder, &alone).await?;
    let latent = latents.into_iter().next().ok_or_else(|| Error::unexpected("no latent of the instance"))?;
    let decoded = models.autoencoders.decode(autoencoder, std::slice::from_ref(&latent.mean), None).await?;
    let reconstruction = decoded.image(0).ok_or_else(|| Error::unexpected("no reconstruction of the instance"))?;

    let both = ImageBatch::from_images(image.shape(), [image, &reconstruction])?;
    let answers: [Logits; 2] = models
        .teachers
        .classify(teacher, &both)
        .await?
        .try_into()
        .map_err(|_| Error::unexpected("the teacher did not answer both images"))?;
    let [logits, reconstruction_logits] = answers;
    Ok(EncodedInstance { image: image.clone(), latent, logits, reconstruction, reconstruction_logits })
}

/// A gold label that the data set knows.
pub fn check_gold_label(gold_label: Option<Label>, label_count: usize) -> Result<()> {
    match gold_label {
        Some(label) if label.index() >= label_count => {
            Err(Error::invalid("image.gold_label", format!("{label} is not below {label_count}")))
        }
        _ => Ok(()),
    }
}
