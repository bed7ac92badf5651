//! Widgets that know nothing of the server: values in, callbacks out.

pub mod autoencoder_form;
pub mod box_errors;
pub mod chosen;
pub mod copy_link;
pub mod dialog;
pub mod draw_pad;
pub mod drawing;
pub mod drop_zone;
pub mod empty;
pub mod export_button;
pub mod format;
pub mod help_dialog;
pub mod mark;
pub mod model_card;
pub mod models_dialog;
pub mod notice;
pub mod number_box;
pub mod own_digit;
pub mod problem;
pub mod progress_line;
pub mod select_box;
pub mod shared;
pub mod toggle;
pub mod training_card;
pub mod trust_card;
pub mod trust_words;
