//! Models and images whose explanations are known before anything is computed.

mod autoencoders;
mod images;
mod teachers;

pub use self::{
    autoencoders::{ENDLESS_SEED, KnownAutoencoder, KnownAutoencoders},
    images::{LABEL_COUNT, Numbers, SHAPE, centered, dataset_splits, gray_image, label_names, random_image},
    teachers::{KnownTeacher, KnownWorkshop, PATCH, linear_classifier},
};
