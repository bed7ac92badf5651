//! Every call is given its caller before anything else happens to it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use runtime::{
    call::{self, CALLER_HEADER},
    status::from_error,
};
use tonic::transport::server::TcpConnectInfo;

use super::{Caller, Callers, Role};

/// The router behind a look at who asks. Handlers find the caller by [`Caller::of`].
pub fn identified(router: Router, callers: Arc<Callers>) -> Router {
    router.layer(middleware::from_fn_with_state(callers, identify))
}

async fn identify(State(callers): State<Arc<Callers>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    match callers.identify(request.headers(), peer.map(|peer: SocketAddr| peer.ip())) {
        Ok(caller) => {
            // What engines share out by is who it is, whatever a stranger wrote there.
            request.headers_mut().remove(CALLER_HEADER);
            request.extensions_mut().insert(call::Caller::new(&caller.name).unwrap_or_default());
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => from_error(error).into_http::<Body>(),
    }
}

impl Caller {
    /// Who makes a request; one that did not come through [`identified`], as in a unit test, is nobody's.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::anonymous(Role::User))
    }
}
