//! The boxes of a form over a draft: each field says once what it is called, what it allows, how it is read
//! from the draft and how a new value gets into it.

use std::rc::Rc;

use yew::prelude::*;

use super::{
    number_box::{NumberBox, NumberRange},
    select_box::SelectBox,
};

/// One number of a draft `D`.
pub struct NumberField<D> {
    /// Of the element; unique on the page.
    pub id: &'static str,
    /// Above the box.
    pub label: &'static str,
    /// What it does, in words a newcomer knows; shown on hover.
    pub help: &'static str,
    /// What is allowed.
    pub range: NumberRange,
    /// What a draft holds; `None` where this draft does not read the number, and then there is no box.
    pub get: fn(&D) -> Option<f64>,
    /// Puts an allowed value into a draft.
    pub set: fn(&mut D, f64),
}

/// One choice of a draft `D` among a few values.
pub struct ChoiceField<D, V: 'static> {
    /// Of the element; unique on the page.
    pub id: &'static str,
    /// Above the box.
    pub label: &'static str,
    /// What it does, in words a newcomer knows; shown on hover.
    pub help: &'static str,
    /// Values with their names, in order.
    pub options: &'static [(V, &'static str)],
    /// What a draft holds.
    pub get: fn(&D) -> V,
    /// Puts a value into a draft.
    pub set: fn(&mut D, V),
}

/// What all boxes of one form share.
#[derive(Clone)]
pub struct DraftBoxes<D> {
    /// What the boxes say.
    pub draft: Rc<D>,
    /// What their resets bring back.
    pub defaults: D,
    /// A draft with one new value.
    pub on_draft: Callback<D>,
    /// A box's id, and whether what it holds is allowed.
    pub on_valid: Callback<(AttrValue, bool)>,
}

impl<D: Clone + 'static> DraftBoxes<D> {
    /// The box of a number; nothing where the draft does not read it.
    pub fn number(&self, field: &NumberField<D>) -> Html {
        let Some(value) = (field.get)(&self.draft) else { return Html::default() };
        html! {
            <NumberBox key={field.id} id={field.id} label={field.label} help={field.help} {value}
                default={(field.get)(&self.defaults).unwrap_or(value)} range={field.range}
                on_change={self.change(field.set)} on_valid={self.on_valid.clone()} />
        }
    }

    /// The box of a choice.
    pub fn choice<V: Copy + PartialEq>(&self, field: &ChoiceField<D, V>) -> Html {
        let (options, set) = (field.options, field.set);
        let position = |value: V| options.iter().position(|(option, _)| *option == value);
        let names: Vec<AttrValue> = options.iter().map(|(_, name)| AttrValue::from(*name)).collect();
        let on_change = self.change(move |draft, index: usize| {
            if let Some((value, _)) = options.get(index) {
                set(draft, *value);
            }
        });
        html! {
            <SelectBox key={field.id} id={field.id} label={field.label} help={field.help} options={names}
                selected={position((field.get)(&self.draft)).unwrap_or(0)}
                default={position((field.get)(&self.defaults))} {on_change} />
        }
    }

    /// A callback that emits the draft with one change.
    fn change<T: 'static>(&self, set: impl Fn(&mut D, T) + 'static) -> Callback<T> {
        let (draft, on_draft) = (self.draft.clone(), self.on_draft.clone());
        Callback::from(move |value| {
            let mut changed = (*draft).clone();
            set(&mut changed, value);
            on_draft.emit(changed);
        })
    }
}

/// What holds for every form: at its defaults each box allows what it shows, and both ends of what it allows
/// are allowed by the domain and read back, except an open end, which is not.
#[cfg(test)]
pub(crate) fn check_fields<D: Clone>(fields: &[&NumberField<D>], defaults: &D, is_allowed: impl Fn(&D) -> bool) {
    for NumberField { id, range, get, set, .. } in fields {
        let Some(default) = get(defaults) else { continue };
        assert_eq!(range.parse(&default.to_string()), Ok(default), "{id}");
        for (end, is_closed) in [(range.min, !range.above_min), (range.max, true)] {
            let mut draft = defaults.clone();
            set(&mut draft, end);
            if is_closed {
                assert_eq!(get(&draft), Some(end), "{id} = {end}");
            }
            assert_eq!(is_allowed(&draft), is_closed, "{id} = {end}");
        }
    }
}
