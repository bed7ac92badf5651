//! Small readers of fields that several conversions share.

use domain::{Error, Label, Result};

/// Largest number that an enumeration is searched for.
const MAX_ENUM_VALUE: i32 = 63;

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

/// Puts the violations, or the wrong shape, of a result under a field; other errors pass.
pub fn under<T>(field: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| error.under(field))
}

/// Reads an enumeration. 0 is its default; a number that this side does not know is refused with the values
/// that are: a default in its place would be another request than the one that was made.
pub fn enumerated<E: TryFrom<i32>>(field: &str, value: i32, name: fn(&E) -> &'static str) -> Result<E> {
    E::try_from(value).map_err(|_| {
        // No enumeration of ours has more than a few values, and all begin at 0.
        let known = (1..=MAX_ENUM_VALUE).filter_map(|number| Some((E::try_from(number).ok()?, number)));
        let known: Vec<String> = known.map(|(value, number)| format!("{} ({number})", name(&value))).collect();
        Error::invalid(field, format!("{value} is not one of {}", known.join(", ")))
    })
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
