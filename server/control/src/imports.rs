//! Import of OpenAPI and Swagger documents: what an import would do. It is applied by creating or updating the API.

mod body;

use axum::extract::{DefaultBodyLimit, Request, State};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::TenantId;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::imports::{
    DocumentSource, ImportPreview, ImportWarning, MAX_DOCUMENT_BYTES, PreviewImport,
};
use sluice_import::{Imported, Malformed, Merged};
use sluice_store::{apis, diff, text};
use tokio::sync::Semaphore;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::Json;
use crate::fetch::{self, FetchError};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

/// A document is held once or twice while it is read: this many at a time, the others wait.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Field-level differences in a preview: more help nobody.
const MOST_CHANGES: usize = 500;
/// Conflicts named as warnings.
const MOST_CONFLICTS: usize = 20;

pub(crate) fn router() -> OpenApiRouter<App> {
    // The body is bounded by its reader, which says so by its own code.
    OpenApiRouter::new().routes(routes!(preview_import)).layer(DefaultBodyLimit::disable())
}

/// What an import would do to a new API or to the draft of one. Nothing changes. A malformed document is refused with
/// each problem and its JSON pointer into the document.
#[utoipa::path(
    post, path = "/tenants/{tenant}/imports/preview", tag = "imports",
    params(("tenant" = TenantId, Path)),
    request_body = PreviewImport,
    responses((status = 200, body = ImportPreview)),
)]
async fn preview_import(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    mut request: Request,
) -> Result<Json<ImportPreview>, ApiError> {
    body::check_declared_length(&mut request).await?;
    let _permit = AT_ONCE.acquire().await.map_err(ApiError::internal)?;
    let PreviewImport { source, api } = body::read(request).await?;
    let present = match api {
        Some(api) => {
            ownership::check_api(&app, &scope, api).await?;
            Some(apis::draft(app.store.read(), scope.tenant, api).await?)
        }
        None => None,
    };
    let (document, fetched_from) = match source {
        DocumentSource::Text(document) => (document, None),
        DocumentSource::Url(url) => {
            let guard = fetch::guard(&app, scope.tenant).await?;
            let (document, url) =
                fetch::fetch(&guard, &url, MAX_DOCUMENT_BYTES).await.map_err(not_fetched)?;
            (text_of(document)?, Some(url))
        }
    };
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(body::too_large());
    }
    let work = move || preview(&document, fetched_from.as_ref(), present);
    let mut preview = tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)??;
    preview.suggested_slug =
        apis::unused_slug(app.store.read(), scope.tenant, &preview.suggested_slug).await?;
    Ok(Json(preview))
}

fn text_of(document: Vec<u8>) -> Result<String, ApiError> {
    let no_text = "the document could not be fetched: what the server sent is not UTF-8 text";
    String::from_utf8(document).map_err(|_| ApiError::upstream("not_fetched", no_text))
}

fn not_fetched(error: FetchError) -> ApiError {
    match error {
        FetchError::WrongUrl(message) => ApiError::invalid_field("/source/url", "invalid_url", message),
        FetchError::Forbidden(network) => {
            ApiError::invalid_field("/source/url", "forbidden_network", network.to_string())
        }
        FetchError::TooLarge => body::too_large(),
        error @ FetchError::NotFetched(_) => ApiError::upstream("not_fetched", error.to_string()),
        FetchError::Client(error) => ApiError::internal(error),
    }
}

fn preview(
    document: &str,
    fetched_from: Option<&Url>,
    present: Option<ApiDefinition>,
) -> Result<ImportPreview, ApiError> {
    let imported = sluice_import::read(document, fetched_from).map_err(|error| malformed(error, document))?;
    let Imported { format, title, description, version: _, definition, mut warnings } = imported;
    let present = present.unwrap_or_default();
    let Merged { definition, added, changed, removed, unchanged } =
        sluice_import::merge(&present, definition);
    warnings.extend(conflicts(&definition));
    let before = serde_json::to_value(&present).map_err(ApiError::internal)?;
    let after = serde_json::to_value(&definition).map_err(ApiError::internal)?;
    let mut changes = diff::diff(Some(&before), Some(&after));
    changes.truncate(MOST_CHANGES);
    Ok(ImportPreview {
        format,
        suggested_slug: text::slug_of(&title).unwrap_or_else(|| "api".to_owned()),
        title,
        description,
        draft: definition,
        added,
        changed,
        removed,
        unchanged,
        changes,
        warnings,
    })
}

/// Said now, since the release would be refused.
fn conflicts(definition: &ApiDefinition) -> Vec<ImportWarning> {
    let conflicts = definition.conflicts();
    let warning = |(a, b): &(&sluice_contract::definition::Route, &sluice_contract::definition::Route)| {
        let message = format!(
            "`{}` ({}) and `{}` ({}) match the same requests: change one before you release.",
            a.id, a.path, b.id, b.path
        );
        ImportWarning { pointer: "/paths".to_owned(), message }
    };
    conflicts.iter().take(MOST_CONFLICTS).map(warning).collect()
}

/// The pointers are into the document, not into the request.
fn malformed(error: Malformed, document: &str) -> ApiError {
    let count = error.problems.len();
    let fields: Vec<FieldProblem> = error.problems;
    ApiError::invalid(fields).with_code("malformed_document").detail(format!(
        "the document of {} bytes cannot be imported: {count} problem{}, each with its place in the document",
        document.len(),
        if count == 1 { "" } else { "s" }
    ))
}
