//! What a person's hands do: the mouse pressed, moved and let go, and keys, as the browser itself would get them.

use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::Value;

use crate::chromium::Browser;

/// Between two places that a moving mouse tells of.
const STEP: Duration = Duration::from_millis(16);
/// At each place of a drag: long enough for what follows the mouse to catch up with it.
const REST: Duration = Duration::from_millis(150);

impl Browser {
    /// The middle of what a selector finds, in CSS pixels of the window.
    pub(crate) async fn middle_of(&self, selector: &str) -> (f64, f64) {
        self.until(&format!("document.querySelector({selector:?})")).await;
        let script = format!(
            "(() => {{ const element = document.querySelector({selector:?}); \
             element.scrollIntoView({{ block: 'nearest' }}); const box = element.getBoundingClientRect(); \
             return [box.left + box.width / 2, box.top + box.height / 2]; }})()"
        );
        let place = self.value(&script).await;
        (place[0].as_f64().unwrap(), place[1].as_f64().unwrap())
    }

    /// Presses the mouse at the first place, moves it through the others and lets it go at the last.
    pub(crate) async fn drag(&self, places: &[(f64, f64)]) {
        let mut actions = MouseActions::new("mouse".to_owned());
        for (i, &(x, y)) in places.iter().enumerate() {
            actions = actions.then(PointerAction::MoveTo { duration: Some(STEP), x, y });
            if i == 0 {
                actions = actions.then(PointerAction::Down { button: MOUSE_BUTTON_LEFT });
            }
            actions = actions.pause(REST);
        }
        self.client.perform_actions(actions.then(PointerAction::Up { button: MOUSE_BUTTON_LEFT })).await.unwrap();
    }

    /// Presses keys one after the other.
    pub(crate) async fn keys(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = KeyActions::new("keys".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses Tab until an element has the focus that a selector matches.
    pub(crate) async fn tab_to(&self, selector: &str) {
        let has_focus = format!("document.activeElement.matches({selector:?})");
        for _ in 0..60 {
            if self.value(&has_focus).await == Value::Bool(true) {
                return;
            }
            self.keys(['\u{e004}']).await;
        }
        panic!("Tab does not lead to {selector}");
    }
}
