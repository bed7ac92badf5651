//! Which boxes of a form hold something that is not allowed, so that its button waits.

use std::{collections::BTreeSet, rc::Rc};

use yew::prelude::*;

#[derive(Default, PartialEq)]
struct BoxErrors(BTreeSet<String>);

impl Reducible for BoxErrors {
    type Action = (AttrValue, bool);

    fn reduce(self: Rc<Self>, (id, valid): Self::Action) -> Rc<Self> {
        let mut ids = self.0.clone();
        let changed = if valid { ids.remove(id.as_str()) } else { ids.insert(id.to_string()) };
        if changed { Rc::new(Self(ids)) } else { self }
    }
}

/// Whether any box is wrong, and what boxes report to.
#[hook]
pub fn use_box_errors() -> (bool, Callback<(AttrValue, bool)>) {
    let errors = use_reducer_eq(BoxErrors::default);
    let dispatcher = errors.dispatcher();
    let report = use_callback((), move |report, ()| dispatcher.dispatch(report));
    (!errors.0.is_empty(), report)
}
