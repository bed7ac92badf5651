//! The images of the selected cell, page by page.

use std::rc::Rc;

use domain::{Error, Example, Label, ResourceName};
use yew::AttrValue;

use crate::{
    components::{chosen::label_name, format, problem::Problem, shared::Shared},
    plots::gallery::Thumbnail,
    route::ExampleOrder,
};

/// Images fetched at once.
pub const PAGE_SIZE: u32 = 50;
/// Most images one gallery holds; the words beside it say so.
pub const MAX_IMAGE_COUNT: usize = 1_000;

/// Which images, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct GalleryKey {
    /// `teachers/{t}` whose answers filter and order them.
    pub teacher: ResourceName,
    /// `datasets/{d}`.
    pub dataset: ResourceName,
    /// Split the teacher was evaluated on.
    pub split: String,
    /// Only images of this class.
    pub gold: Option<Label>,
    /// Only images that were given this class.
    pub predicted: Option<Label>,
    /// Only errors; false for one cell, which may be a correct one.
    pub errors_only: bool,
    /// What comes first.
    pub order: ExampleOrder,
}

/// A page to fetch.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRequest {
    /// Of which gallery.
    pub key: GalleryKey,
    /// Where it begins; empty for the first.
    pub page_token: String,
    /// Changes with every retry.
    pub attempt: u32,
}

/// A page as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct ExamplePage {
    /// In the order asked for.
    pub examples: Vec<Example>,
    /// Empty at the end.
    pub next_page_token: String,
    /// Images on all pages.
    pub total: u64,
}

/// What has been fetched so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gallery {
    key: Option<GalleryKey>,
    request: Option<PageRequest>,
    /// The gallery the images belong to: an earlier one while the first page is on its way.
    shown: Option<GalleryKey>,
    examples: Vec<Rc<Example>>,
    thumbnails: Shared<Vec<Thumbnail>>,
    next_page_token: String,
    total: u64,
    problem: Option<Rc<Problem>>,
    attempt: u32,
}

impl Gallery {
    /// Asks for a gallery; the same again changes nothing.
    pub fn want(&mut self, key: Option<GalleryKey>) {
        if self.key == key {
            return;
        }
        self.problem = None;
        if key.is_none() {
            *self = Self { attempt: self.attempt, ..Self::default() };
        } else if self.shown == key {
            self.request = None;
        } else {
            self.request = key.clone().map(|key| self.page(key, String::new()));
        }
        self.key = key;
    }

    /// Asks for the next page, unless one is on its way or there is none.
    pub fn want_more(&mut self) {
        if self.request.is_some() || self.problem.is_some() || !self.has_more() {
            return;
        }
        if let Some(key) = self.key.clone() {
            self.request = Some(self.page(key, self.next_page_token.clone()));
        }
    }

    /// Takes a page in; one that was not asked for is dropped.
    pub fn receive(&mut self, request: &PageRequest, result: Result<ExamplePage, Error>, names: &[String]) {
        if self.request.as_ref() != Some(request) {
            return;
        }
        self.request = None;
        let page = match result {
            Ok(page) => page,
            Err(error) => {
                self.problem = Some(Rc::new(Problem::from_error(&error)));
                return;
            }
        };
        if request.page_token.is_empty() {
            self.examples.clear();
        }
        self.examples.extend(page.examples.into_iter().map(Rc::new));
        self.examples.truncate(MAX_IMAGE_COUNT);
        self.thumbnails = Shared::new(self.examples.iter().map(|example| thumbnail(example, names)).collect());
        self.next_page_token = page.next_page_token;
        self.total = page.total;
        self.shown = Some(request.key.clone());
    }

    /// Asks again for the page that failed.
    pub fn retry(&mut self) {
        if self.problem.take().is_none() {
            return;
        }
        self.attempt += 1;
        let goes_on = self.shown == self.key;
        let token = if goes_on { self.next_page_token.clone() } else { String::new() };
        self.request = self.key.clone().map(|key| self.page(key, token));
    }

    /// The page to fetch now: the dependency of the effect that fetches it.
    pub fn pending(&self) -> Option<PageRequest> {
        self.request.clone()
    }

    /// An image that was fetched, by its `{e}`.
    pub fn example(&self, id: &str) -> Option<&Rc<Example>> {
        self.examples.iter().find(|example| example.name.id() == id)
    }

    /// What the list box shows.
    pub fn thumbnails(&self) -> Shared<Vec<Thumbnail>> {
        self.thumbnails.clone()
    }

    /// Images on all pages of what is shown.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether scrolling brings more.
    pub fn has_more(&self) -> bool {
        self.shown == self.key && !self.next_page_token.is_empty() && self.examples.len() < MAX_IMAGE_COUNT
    }

    /// Whether a page is on its way.
    pub fn is_loading(&self) -> bool {
        self.request.is_some()
    }

    /// Whether the images belong to an earlier selection.
    pub fn is_stale(&self) -> bool {
        self.shown != self.key
    }

    /// Whether anything was asked for.
    pub fn is_wanted(&self) -> bool {
        self.key.is_some()
    }

    /// Why the latest page is missing.
    pub fn problem(&self) -> Option<Rc<Problem>> {
        self.problem.clone()
    }

    fn page(&self, key: GalleryKey, page_token: String) -> PageRequest {
        PageRequest { key, page_token, attempt: self.attempt }
    }
}

fn thumbnail(example: &Example, names: &[String]) -> Thumbnail {
    let gold = label_name(names, example.gold_label);
    let answer = example.soft_labels.as_ref().map(|labels| (labels.predicted_label(), labels.confidence()));
    let (caption, said) = match answer {
        Some((label, confidence)) => {
            // An error is never quite certain: `100%` would say so.
            let share = if (0.995..1.0).contains(&confidence) {
                ">99%".to_owned()
            } else {
                format!("{:.0}%", confidence * 100.0)
            };
            (share.clone(), format!(", teacher says {} with {share}", label_name(names, label)))
        }
        None => (String::new(), String::new()),
    };
    Thumbnail {
        key: AttrValue::from(example.name.id().to_owned()),
        image: example.image.clone(),
        caption: caption.into(),
        description: format!("Image {}, true {gold}{said}", format::count(example.index)).into(),
    }
}

#[cfg(test)]
mod tests;
