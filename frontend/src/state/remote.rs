//! One thing the page asks the server for. The old answer stays while a new one is on its way, only the
//! answer to the latest question counts, and a failure clears its own flag.

use std::rc::Rc;

use domain::Error;

use crate::components::problem::Problem;

/// A question (`K`), and the latest answer to it or to the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote<K, T> {
    wanted: Option<K>,
    attempt: u32,
    answer: Option<(K, T)>,
    problem: Option<Rc<Problem>>,
    is_loading: bool,
}

impl<K, T> Default for Remote<K, T> {
    fn default() -> Self {
        Self { wanted: None, attempt: 0, answer: None, problem: None, is_loading: false }
    }
}

impl<K: Clone + PartialEq, T> Remote<K, T> {
    /// Asks; the same question again changes nothing. `None` forgets the answer too.
    pub fn want(&mut self, wanted: Option<K>) {
        if self.wanted == wanted {
            return;
        }
        let answered = self.answer.as_ref().is_some_and(|(key, _)| Some(key) == wanted.as_ref());
        if wanted.is_none() {
            self.answer = None;
        }
        self.is_loading = wanted.is_some() && !answered;
        self.problem = None;
        self.wanted = wanted;
    }

    /// Takes an answer; one to an earlier question is dropped.
    pub fn receive(&mut self, key: &K, result: Result<T, Error>) {
        if self.wanted.as_ref() != Some(key) {
            return;
        }
        self.is_loading = false;
        match result {
            Ok(value) => {
                self.answer = Some((key.clone(), value));
                self.problem = None;
            }
            Err(error) => self.problem = Some(Rc::new(Problem::from_error(&error))),
        }
    }

    /// Asks the same question again.
    pub fn retry(&mut self) {
        if self.wanted.is_some() {
            self.attempt += 1;
            self.is_loading = true;
            self.problem = None;
        }
    }

    /// What has to be fetched now, with a number that changes with every retry: the dependency of the
    /// effect that fetches it.
    pub fn pending(&self) -> Option<(K, u32)> {
        self.wanted.clone().filter(|_| self.is_loading).map(|key| (key, self.attempt))
    }

    /// The latest question.
    pub fn wanted(&self) -> Option<&K> {
        self.wanted.as_ref()
    }

    /// The newest answer, be it to an earlier question.
    pub fn latest(&self) -> Option<&T> {
        self.answer.as_ref().map(|(_, value)| value)
    }

    /// The answer to the latest question, once it is there.
    pub fn current(&self) -> Option<&T> {
        self.answer.as_ref().filter(|(key, _)| Some(key) == self.wanted.as_ref()).map(|(_, value)| value)
    }

    /// The newest answer, if its question fits: one about the same image in another way, say.
    pub fn latest_where(&self, fits: impl FnOnce(&K) -> bool) -> Option<&T> {
        self.answer.as_ref().filter(|(key, _)| fits(key)).map(|(_, value)| value)
    }

    /// Whether an answer is on its way.
    pub fn is_loading(&self) -> bool {
        self.is_loading
    }

    /// Why there is no answer to the latest question.
    pub fn problem(&self) -> Option<Rc<Problem>> {
        self.problem.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: u32) -> Remote<u32, &'static str> {
        let mut remote = Remote::default();
        remote.want(Some(key));
        remote
    }

    #[test]
    fn the_old_answer_stays_until_the_new_one_is_there() {
        let mut remote = asked(1);
        remote.receive(&1, Ok("one"));
        remote.want(Some(2));
        assert_eq!((remote.latest(), remote.current(), remote.is_loading()), (Some(&"one"), None, true));
        remote.receive(&2, Ok("two"));
        assert_eq!((remote.current(), remote.is_loading()), (Some(&"two"), false));
    }

    #[test]
    fn an_answer_to_an_earlier_question_is_dropped() {
        let mut remote = asked(1);
        remote.want(Some(2));
        remote.receive(&1, Ok("one"));
        remote.receive(&1, Err(Error::Cancelled));
        assert_eq!((remote.latest(), remote.is_loading(), remote.problem()), (None, true, None));
    }

    #[test]
    fn a_failure_clears_its_own_flag_and_a_retry_clears_the_failure() {
        let mut remote = asked(1);
        let first = remote.pending();
        remote.receive(&1, Err(Error::DeadlineExceeded));
        assert!(!remote.is_loading() && remote.problem().is_some() && remote.pending().is_none());
        remote.retry();
        assert!(remote.is_loading() && remote.problem().is_none());
        assert_ne!(remote.pending(), first);
    }

    #[test]
    fn going_back_to_the_answered_question_asks_nothing() {
        let mut remote = asked(1);
        remote.receive(&1, Ok("one"));
        remote.want(Some(2));
        remote.want(Some(1));
        assert_eq!((remote.current(), remote.pending()), (Some(&"one"), None));
    }
}
