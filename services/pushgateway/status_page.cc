#include "services/pushgateway/status_page.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/html.h"
#include "libs/http/message.h"

namespace narthex::pushgateway {

namespace {

constexpr absl::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Pushgateway</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem;
       padding: 0 1rem; color: #1c1e21; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
details { border: 1px solid #d8dbe0; border-radius: 6px; margin: .5rem 0;
          padding: .4rem .8rem; }
summary { cursor: pointer; } .failed { color: #b3261e; }
.label { background: #eef1f5; border-radius: 4px; padding: 0 .4rem;
         margin-right: .3rem; }
pre { overflow-x: auto; background: #f6f7f9; padding: .6rem; }
table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; }
button { float: right; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e6eb; background: #18191c; } details { border-color: #3a3c42; }
  .label, pre { background: #26282d; } .failed { color: #f2b8b5; } }
</style></head><body>
<h1>Pushgateway</h1>
)";

constexpr absl::string_view kTail = R"(
<script>
for (const button of document.querySelectorAll("button[data-path]")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (!confirm("Delete this group?")) return;
    await fetch(button.dataset.path, {method: "DELETE"});
    button.closest("details").remove();
  });
}
</script></body></html>
)";

// Base64 carries slashes and empty values safely.
std::string Encode(absl::string_view value) {
  const std::string encoded = absl::WebSafeBase64Escape(value);
  return encoded.empty() ? "=" : encoded;
}

std::string GroupPath(const LabelPairs& labels) {
  std::string job;
  std::string rest;
  for (const auto& [name, value] : labels) {
    if (name == "job") {
      job = Encode(value);
    } else {
      absl::StrAppend(&rest, "/", http::PercentEncode(name), "@base64/",
                      Encode(value));
    }
  }
  return absl::StrCat("metrics/job@base64/", job, rest);
}

void AppendGroup(const Store::Group& group, absl::string_view prefix,
                 std::string* out) {
  absl::StrAppend(out, "<details><summary",
                  group.last_push_successful ? "" : " class=\"failed\"", ">");
  for (const auto& [name, value] : group.labels) {
    absl::StrAppend(out, "<span class=\"label\">", base::EscapeHtml(name),
                    "=\"", base::EscapeHtml(value), "\"</span>");
  }
  absl::StrAppend(out, group.last_push_successful ? "" : " last push failed!",
                  "<button data-path=\"", prefix, "/",
                  base::EscapeHtml(GroupPath(group.labels)),
                  "\">Delete group</button></summary>");
  for (const Store::PushedFamily& pushed : group.families) {
    std::string text;
    AppendFamilyHead(pushed.family, &text);
    for (std::size_t i = 0; i < pushed.family.layout.metric_count(); ++i) {
      AppendMetric(pushed.family, i, &text);
    }
    absl::StrAppend(
        out, "<details><summary>", base::EscapeHtml(pushed.family.name),
        " <small>", TypeWord(pushed.family.type), ", last pushed ",
        base::FormatRfc3339(pushed.pushed_ms), "</small></summary><pre>",
        base::EscapeHtml(text), "</pre></details>");
  }
  *out += "</details>\n";
}

}  // namespace

std::string StatusPage(const service::Process& process,
                       const std::vector<Store::Group>& groups) {
  std::string page(kHead);
  absl::StrAppend(&page, "<h2>Groups (", groups.size(), ")</h2>\n");
  for (const Store::Group& group : groups) {
    AppendGroup(group, process.route_prefix(), &page);
  }
  absl::StrAppend(&page, "<h2>Status</h2><table><tr><td>version</td><td>",
                  base::EscapeHtml(service::Build().version),
                  "</td></tr><tr><td>started</td><td>",
                  base::FormatRfc3339(process.start_time_ms()),
                  "</td></tr></table><h2>Flags</h2><table>");
  for (const auto& [name, value] : process.flags().Values()) {
    absl::StrAppend(&page, "<tr><td>", base::EscapeHtml(name), "</td><td>",
                    base::EscapeHtml(value), "</td></tr>");
  }
  absl::StrAppend(&page, "</table>", kTail);
  return page;
}

}  // namespace narthex::pushgateway
