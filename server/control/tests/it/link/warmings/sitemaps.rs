//! Sitemaps as a source of URLs.

use std::io::Write;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A site on a port of this machine; gives its address.
async fn site(routes: impl FnOnce(String) -> Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = routes(address.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn sitemap(locations: &[String]) -> String {
    let urls: String = locations.iter().map(|url| format!("<url><loc>{url}</loc></url>")).collect();
    format!(
        "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{urls}</urlset>"
    )
}

fn index(sitemaps: &[String]) -> String {
    let all: String = sitemaps.iter().map(|url| format!("<sitemap><loc>{url}</loc></sitemap>")).collect();
    format!("<sitemapindex>{all}</sitemapindex>")
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn ask(served: &Served, api: ApiId, url: &str) -> sluice_testkit::Reply {
    let sources = json!([{"from": "list", "paths": ["/listed"]}, {"from": "sitemap", "url": url}]);
    let body = json!({"environment": served.environment, "sources": sources});
    served.app.admin.post(&path(served, api, ""), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sitemap_and_the_sitemaps_of_an_index_tell_is_warmed_where_it_is_the_apis() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let warmer = Warmer::start(&served, false, false).await;
        let mut draft = cached(json!({}));
        draft["access"] = "public".into();
        draft["hosts"] = json!(["shop.example"]);
        let api = release(&served, "items", draft).await;
        let site = site(|here| {
            let own = ["https://shop.example/items?page=1&amp;size=2", "https://elsewhere.example/x", "%%"];
            let plain = sitemap(&own.map(str::to_owned));
            let zipped =
                packed(&sitemap(&[format!("{here}/here"), "https://shop.example/listed".to_owned()]));
            let parts = ["/moved", "/2.xml.gz", "/index.xml", "/missing", "/2.xml.gz"];
            let index = index(&parts.map(|path| format!("{here}{path}")));
            Router::new()
                .route("/index.xml", get(async || index))
                .route("/moved", get(async || Redirect::permanent("/1.xml")))
                .route("/1.xml", get(async || plain))
                .route("/2.xml.gz", get(async || zipped))
        })
        .await;
        let begun: Warming = ask(&served, api, &format!("{site}/index.xml")).await.expect(201).json();
        let left_out = [
            ("invalid_location".to_owned(), 1),
            ("other_host".to_owned(), 1),
            ("sitemap_is_index".to_owned(), 1),
            ("sitemap_unread".to_owned(), 1),
        ];
        assert_eq!((begun.urls, begun.left_out), (3, left_out.into()));
        newest(&served, api, is_done).await;
        assert_eq!(warmer.urls(), ["/listed", "/items?page=1&size=2", "/here"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sitemap_that_cannot_be_had_is_said_at_its_field_and_kept_as_failed_where_nobody_asks() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let _warmer = Warmer::start(&served, false, false).await;
        let api = released(&served, "items").await;
        let site = site(|_| {
            Router::new()
                .route("/page", get(async || "<html></html>"))
                .route("/inside", get(async || Redirect::temporary("http://169.254.169.254/latest")))
                .route("/nested", get(async || index(&["http://10.0.0.1/sitemap.xml".to_owned()])))
                .route("/large", get(async || vec![b' '; 17 << 20]))
        })
        .await;
        for (url, code) in [
            (format!("{site}/page"), "invalid_sitemap"),
            (format!("{site}/nothing"), "not_fetched"),
            (format!("{site}/inside"), "forbidden_network"),
            (format!("{site}/large"), "document_too_large"),
            ("http://10.0.0.1/sitemap.xml".to_owned(), "forbidden_network"),
            ("file:///etc/passwd".to_owned(), "invalid_url"),
            ("/sitemap.xml".to_owned(), "invalid_url"),
        ] {
            let problem = ask(&served, api, &url).await.expect_problem(422, "invalid");
            let field = &problem.fields[0];
            assert_eq!((field.pointer.as_str(), field.code.as_str()), ("/sources/1/url", code), "{url}");
        }
        let nested = json!([{"from": "sitemap", "url": format!("{site}/nested")}]);
        let body = json!({"environment": served.environment, "sources": nested});
        let refused = served.app.admin.post(&path(&served, api, ""), &body).await;
        let problem = refused.expect_problem(409, "no_urls");
        assert!(problem.detail.contains("sitemap_unread: 1"), "{}", problem.detail);
        let fresh = served.app.admin.get(&plan_path(&served, api)).await.expect(200).etag();
        let page = json!([{"from": "sitemap", "url": format!("{site}/page")}]);
        let plan = json!({"sources": page, "schedule": {"at": "every", "minutes": 5}});
        served.app.admin.put(&plan_path(&served, api), &fresh, &plan).await.expect(200);
        make_due(&served).await;
        let failed = newest(&served, api, |warming| warming.state == WarmingState::Failed).await;
        assert_eq!(failed.cause, WarmingCause::Schedule);
        assert!(failed.problem.unwrap().contains("no sitemap"));
    })
    .await;
}
