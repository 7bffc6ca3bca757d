//! The sample upstream of `sluice up --demo`: a small bookstore and a weather service that behave as real origins do
//! (validators, freshness, a not-found, a slow answer), and describe themselves by OpenAPI.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The OpenAPI description of the bookstore, without `servers`.
pub(crate) const BOOKSTORE: &str = include_str!("../../../assets/demo/bookstore.json");
/// The OpenAPI description of the weather service, without `servers`.
pub(crate) const WEATHER: &str = include_str!("../../../assets/demo/weather.json");

const BOOKS: [(&str, &str, u32); 6] = [
    ("The Left Hand of Darkness", "Ursula K. Le Guin", 1969),
    ("Invisible Cities", "Italo Calvino", 1972),
    ("Kindred", "Octavia E. Butler", 1979),
    ("The Name of the Rose", "Umberto Eco", 1980),
    ("Beloved", "Toni Morrison", 1987),
    ("Piranesi", "Susanna Clarke", 2020),
];

const CITIES: [&str; 5] = ["lisbon", "oslo", "nairobi", "lima", "kyoto"];

/// Serves the sample upstream on a loopback port (0: a free one), as long as the runtime lives.
///
/// # Errors
/// When the port cannot be had.
pub(crate) async fn start(port: u16) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router()).await {
            tracing::error!(%error, "the sample upstream stopped");
        }
    });
    Ok(address)
}

fn router() -> axum::Router {
    axum::Router::new()
        .route("/books", get(list_books))
        .route("/books/{id}", get(get_book))
        .route("/orders", post(place_order))
        .route("/weather/{city}", get(get_weather))
        .route("/forecast/{city}", get(get_forecast))
}

fn book(id: usize) -> Option<Value> {
    let (title, author, year) = BOOKS.get(id.checked_sub(1)?)?;
    Some(json!({ "id": id, "title": title, "author": author, "year": year }))
}

#[derive(Deserialize)]
struct ListBooks {
    author: Option<String>,
}

async fn list_books(Query(ListBooks { author }): Query<ListBooks>) -> Response {
    let wanted = |book: &Value| {
        author.as_ref().is_none_or(|author| {
            book["author"].as_str().is_some_and(|a| a.to_lowercase().contains(&author.to_lowercase()))
        })
    };
    let books: Vec<_> = (1..=BOOKS.len()).filter_map(book).filter(wanted).collect();
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(books)).into_response()
}

async fn get_book(Path(id): Path<usize>, headers: HeaderMap) -> Response {
    let Some(book) = book(id) else {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": format!("There is no book {id}.") })))
            .into_response();
    };
    let etag = format!("\"book-{id}\"");
    let cached = [(header::CACHE_CONTROL, "public, max-age=10".to_owned()), (header::ETAG, etag.clone())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    (cached, Json(book)).into_response()
}

#[derive(Deserialize)]
struct PlaceOrder {
    book: usize,
    copies: u32,
}

async fn place_order(Json(PlaceOrder { book: id, copies }): Json<PlaceOrder>) -> Response {
    match book(id) {
        Some(book) if copies > 0 => {
            let order = json!({ "book": book, "copies": copies, "state": "accepted" });
            (StatusCode::CREATED, Json(order)).into_response()
        }
        _ => {
            let error = json!({ "error": "An order needs a book that exists and at least one copy." });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response()
        }
    }
}

fn degrees(city: &str, hour: i64) -> i64 {
    let seed: i64 = city.bytes().map(i64::from).sum();
    (seed * 7 + hour * 3) % 30 - 2
}

async fn get_weather(Path(city): Path<String>) -> Response {
    if !CITIES.contains(&city.as_str()) {
        let error = json!({ "error": format!("There is no station in {city}."), "stations": CITIES });
        return (StatusCode::NOT_FOUND, Json(error)).into_response();
    }
    let now = chrono::Utc::now();
    let hour = now.timestamp() / 3600;
    let body = json!({ "city": city, "celsius": degrees(&city, hour), "measured_at": now });
    ([(header::CACHE_CONTROL, "public, max-age=5")], Json(body)).into_response()
}

/// Takes its time, as forecasts do.
async fn get_forecast(Path(city): Path<String>) -> Response {
    tokio::time::sleep(Duration::from_millis(120)).await;
    let hour = chrono::Utc::now().timestamp() / 3600;
    let days: Vec<_> = (0..5).map(|day| degrees(&city, hour + day * 24)).collect();
    Json(json!({ "city": city, "celsius": days })).into_response()
}
