//! Each cause for which the Go adapter says that it "could not find the metric", as the page shows it.

use tidegauge::api::Cause;

use super::{STATUS, page_of, read};
use crate::explain::table::{BROKEN, CASES, Worlds};

#[tokio::test]
async fn each_cause_is_shown_where_a_metric_is_explained_and_its_message_among_the_errors() {
    let worlds = Worlds::start(&[STATUS]).await;
    for (adapter, cases) in [(&worlds.adapter, CASES), (&worlds.broken, BROKEN)] {
        let page = page_of(adapter).await;
        for case in cases
            .iter()
            .filter(|it| Cause::NOT_FOUND.contains(&it.cause))
        {
            let answer = adapter.get(case.path).await;
            let path = percent_encoding::utf8_percent_encode(
                case.path,
                percent_encoding::NON_ALPHANUMERIC,
            );
            let explained = read(&format!("{page}/explain?path={path}")).await;
            let shown = [case.cause.slug(), case.message, case.advice];
            for part in shown {
                assert!(explained.contains(part), "{part}\n{explained}");
            }
            let errors = read(&page).await;
            let is_error = answer.status.as_u16() >= 400;
            assert!(
                !is_error || errors.contains(case.message),
                "{}\n{errors}",
                case.message
            );
        }
    }
}
