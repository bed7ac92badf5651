//! Who looks at the page, as the server knows them, and so what is theirs.

/// The name of those who have not said who they are, and of what the system made by itself.
const ANONYMOUS: &str = "anonymous";

/// As whom the server knows this page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The creator of what this page makes.
    pub name: String,
    /// Whether what others made may be changed too: so it is where nobody is told apart.
    pub may_change_all: bool,
}

impl Default for Viewer {
    /// Of a server that tells nobody apart.
    fn default() -> Self {
        Self { name: ANONYMOUS.to_owned(), may_change_all: true }
    }
}

impl Viewer {
    /// Whether what this creator made may be stopped and deleted here. The server has the last word.
    pub fn may_change(&self, creator: &str) -> bool {
        self.may_change_all || self.name == creator
    }

    /// Who made something, where it was somebody else and they have a name.
    pub fn other<'a>(&self, creator: &'a str) -> Option<&'a str> {
        (creator != self.name && creator != ANONYMOUS && !creator.is_empty()).then_some(creator)
    }

    /// What tells this person's explanations from those of others who ask for the same.
    pub fn mark(&self) -> Option<&str> {
        (self.name != ANONYMOUS).then_some(self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changes_ones_own_and_an_admin_everything() {
        let ana = Viewer { name: "ana".to_owned(), may_change_all: false };
        assert!(ana.may_change("ana") && !ana.may_change("ben") && !ana.may_change(ANONYMOUS));
        assert!(Viewer { may_change_all: true, ..ana }.may_change("ben"));
        assert!(Viewer::default().may_change(ANONYMOUS));
    }

    #[test]
    fn only_others_with_a_name_are_named() {
        let ana = Viewer { name: "ana".to_owned(), may_change_all: true };
        assert_eq!((ana.other("ben"), ana.other("ana"), ana.other(ANONYMOUS)), (Some("ben"), None, None));
        assert_eq!(Viewer::default().other(ANONYMOUS), None);
        assert_eq!((ana.mark(), Viewer::default().mark()), (Some("ana"), None));
    }
}
