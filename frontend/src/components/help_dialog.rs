//! Which keys do what, and how to read the page.

use yew::prelude::*;

use super::dialog::Dialog;

/// Keys and what they do, in reading order.
const KEYS: [(&str, &str); 8] = [
    ("?", "This list"),
    ("Tab", "To the next view, box or plot; Shift and Tab goes back"),
    ("Arrows", "Walk the matrix, the images and the neighbors"),
    ("Home, End, Page Up, Page Down", "To the ends of a row, a column or a list"),
    ("Enter, Space", "Choose the cell or the image"),
    ("Arrows on a handle", "Move along the axis and decode; with Shift a tenth as far"),
    ("Arrows on a band", "Widen or narrow where neighbors are drawn"),
    ("Escape", "Close a window"),
];

/// What to show.
#[derive(Properties, PartialEq)]
pub struct HelpDialogProps {
    /// Whether it is there.
    pub open: bool,
    /// It was closed.
    pub on_close: Callback<()>,
}

/// The window.
#[component]
pub fn HelpDialog(props: &HelpDialogProps) -> Html {
    html! {
        <Dialog id="help" title="How to use this page" open={props.open} on_close={props.on_close.clone()}>
            <ol class="help-steps">
                <li><b>{ "Where is it wrong?" }</b>{ " Choose a cell of the matrix: the row is the true label, the column what the teacher said." }</li>
                <li><b>{ "Which image?" }</b>{ " Choose one. The page draws a thousand similar images around it and asks the teacher about each." }</li>
                <li><b>{ "Why, and may I believe it?" }</b>{ " A small model learns the teacher\u{2019}s answers there. Its map shows which ink speaks for which class, and the card above it says how far to trust that." }</li>
            </ol>
            <table class="keys">
                <caption class="visually-hidden">{ "Keys" }</caption>
                <tbody>
                    for (keys, what) in KEYS {
                        <tr><th scope="row"><kbd>{ keys }</kbd></th><td>{ what }</td></tr>
                    }
                </tbody>
            </table>
        </Dialog>
    }
}
