//! Drawings. Each has a pure layout that is tested on the host and a component that draws it.

pub mod canvas;
pub mod colors;
pub mod confusion_matrix;
pub mod gallery;
pub mod heatmap;
pub mod image_grid;
pub mod legend;
pub mod loss_curve;
pub mod measure;
mod oklab;
pub mod paired_bars;
pub mod parallel_coordinates;
pub mod pixel_image;
pub mod raster;
pub mod regions;
pub mod softmax_bars;
