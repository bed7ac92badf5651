//! What the page has asked the server for.

use std::collections::HashSet;

use integration_tests::Api;
use proto::raw::deeper::explanation::v1 as raw;

/// Which explanations the test has seen: times in whole seconds do not tell which one is the newest.
#[derive(Default)]
pub(crate) struct Seen(HashSet<String>);

impl Seen {
    /// Those that were asked for since the last look.
    pub(crate) async fn unseen(&mut self, api: &Api) -> Vec<String> {
        let mut client = api.explanations.clone();
        let listed = client.list_explanations(raw::ListExplanationsRequest::default()).await.unwrap().into_inner();
        let names = listed.explanations.into_iter().map(|explanation| explanation.name);
        names.filter(|name| self.0.insert(name.clone())).collect()
    }

    /// The one that was asked for since the last look.
    pub(crate) async fn newest(&mut self, api: &Api) -> raw::Explanation {
        let new = self.unseen(api).await;
        let [name] = &new[..] else { panic!("not one new explanation: {new:?}") };
        let request = raw::GetExplanationRequest { name: name.clone() };
        api.explanations.clone().get_explanation(request).await.unwrap().into_inner()
    }
}
