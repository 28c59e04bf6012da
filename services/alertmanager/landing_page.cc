#include "services/alertmanager/landing_page.h"

namespace narthex::alertmanager {
namespace {

constexpr char kPage[] = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Narthex Alertmanager</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 70em;
       padding: 1em; color: #222; }
h2 { margin: 1.5em 0 .3em; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3em .6em; border-bottom: 1px solid #ddd;
         vertical-align: top; }
.label { background: #eef; border-radius: 3px; padding: 0 .3em;
         margin-right: .3em; white-space: nowrap; }
.suppressed, .expired { color: #888; }
input { padding: .3em; width: 24em; max-width: 100%; }
#error { color: #b00; }
</style>
</head>
<body>
<h1>Alertmanager</h1>
<p><input id="filter" placeholder='filter: severity="critical"'>
<span id="error"></span></p>
<h2>Alerts</h2><div id="groups"></div>
<h2>Silences</h2><table id="silences"></table>
<h2>Status</h2><pre id="status"></pre>
<script>
const make = (tag, text, cls) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
};
const row = cells => {
  const tr = make('tr');
  for (const c of cells) {
    const td = make('td');
    td.append(...[].concat(c));
    tr.append(td);
  }
  return tr;
};
const labels = set => Object.entries(set).map(
  ([k, v]) => make('span', `${k}="${v}"`, 'label'));
const op = m => (m.isEqual ? '=' : '!') + (m.isRegex ? '~' : m.isEqual ? '' : '=');
const get = async path => {
  const r = await fetch(path);
  const body = await r.json();
  if (!r.ok) throw new Error(typeof body === 'string' ? body : body.message);
  return body;
};
const silence = async set => {
  const comment = prompt('Silence for two hours. Why?');
  if (comment === null) return;
  await fetch('api/v2/silences', {
    method: 'POST', headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({
      matchers: Object.entries(set).map(([name, value]) =>
        ({name, value, isRegex: false, isEqual: true})),
      startsAt: new Date(), endsAt: new Date(Date.now() + 7200e3),
      createdBy: 'web', comment})});
  refresh();
};
const showGroups = groups => {
  const root = document.getElementById('groups');
  root.replaceChildren();
  if (!groups.length) root.append(make('p', 'No alerts.'));
  for (const g of groups) {
    const head = make('h3');
    head.append(...labels(g.labels), ` to ${g.receiver.name}`);
    const table = make('table');
    for (const a of g.alerts) {
      const button = make('button', 'Silence');
      button.onclick = () => silence(a.labels);
      const tr = row([a.startsAt, labels(a.labels),
        Object.entries(a.annotations).map(([k, v]) => make('div', `${k}: ${v}`)),
        a.status.state, button]);
      tr.className = a.status.state;
      table.append(tr);
    }
    root.append(head, table);
  }
};
const showSilences = list => {
  const table = document.getElementById('silences');
  table.replaceChildren();
  for (const s of list.filter(s => s.status.state !== 'expired')) {
    const button = make('button', 'Expire');
    button.onclick = async () => {
      await fetch('api/v2/silence/' + s.id, {method: 'DELETE'});
      refresh();
    };
    table.append(row([s.status.state,
      s.matchers.map(m => make('span', `${m.name}${op(m)}"${m.value}"`, 'label')),
      `until ${s.endsAt}`, `${s.createdBy}: ${s.comment}`, button]));
  }
};
const refresh = async () => {
  const filter = document.getElementById('filter').value.trim();
  const query = filter ? '?filter=' + encodeURIComponent(filter) : '';
  try {
    showGroups(await get('api/v2/alerts/groups' + query));
    showSilences(await get('api/v2/silences'));
    document.getElementById('status').textContent =
      (await get('api/v2/status')).config.original;
    document.getElementById('error').textContent = '';
  } catch (e) {
    document.getElementById('error').textContent = e.message;
  }
};
document.getElementById('filter').onchange = refresh;
refresh();
setInterval(refresh, 15000);
</script>
</body>
</html>
)html";

}  // namespace

absl::string_view LandingPage() { return kPage; }

}  // namespace narthex::alertmanager
