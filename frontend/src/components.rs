//! Widgets that know nothing of the server: values in, callbacks out.

pub mod box_errors;
pub mod chosen;
pub mod draw_pad;
pub mod drawing;
pub mod drop_zone;
pub mod empty;
pub mod format;
pub mod mark;
pub mod notice;
pub mod number_box;
pub mod own_digit;
pub mod problem;
pub mod progress_line;
pub mod select_box;
pub mod shared;
pub mod toggle;
pub mod trust_card;
pub mod trust_words;
