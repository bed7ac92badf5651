//! Small readers of fields that several conversions share.

use domain::{Error, Label, Result, Violations};

/// A message field that must be there.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(field, "is required"))
}

/// Converts a message field that must be there; violations keep their paths under `field`.
pub fn required_from<R, T>(field: &str, value: Option<R>) -> Result<T>
where
    T: TryFrom<R, Error = Error>,
{
    nested(field, required(field, value)?)
}

/// Converts a message field; violations keep their paths under `field`.
pub fn nested<R, T>(field: &str, value: R) -> Result<T>
where
    T: TryFrom<R, Error = Error>,
{
    under(field, T::try_from(value))
}

/// Puts the violations of a result under a field; other errors pass.
pub fn under<T>(field: &str, result: Result<T>) -> Result<T> {
    match result {
        Err(error @ Error::InvalidFields(_)) => {
            let mut violations = Violations::default();
            violations.take::<()>(field, Err(error));
            Err(violations.finish().expect_err("one violation was noted"))
        }
        other => other,
    }
}

/// Converts every element; the first that fails is named by its position.
pub fn each<R, T>(field: &str, values: Vec<R>) -> Result<Vec<T>>
where
    T: TryFrom<R, Error = Error>,
{
    values.into_iter().enumerate().map(|(i, value)| nested(&format!("{field}[{i}]"), value)).collect()
}

/// A label that is below `label_count`.
pub fn label_below(field: &str, value: u32, label_count: usize) -> Result<Label> {
    let label = Label(value);
    if label.index() < label_count {
        Ok(label)
    } else {
        Err(Error::invalid(field, format!("{value} is not below {label_count}")))
    }
}
