
const TOKEN = "gwlb-token";
const show = (id) => document.getElementById(id);

// How numbers are written.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const exact = (value) => whole.format(value);
const count = (value) => value == null ? "–" : value < 10000 ? whole.format(value) : short.format(value);
const rate = (value) => value == null ? "–" : value < 10 && value > 0 ? value.toFixed(1) : count(value);
const scaled = (units, step) => (value) => {
  if (value == null) return "–";
  let unit = 0;
  while (value >= step && unit < units.length - 1) { value /= step; unit += 1; }
  return `${value >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(2)} ${units[unit]}`;
};
const bits = scaled(["bit", "kbit", "Mbit", "Gbit", "Tbit"], 1000);
const bytes = scaled(["B", "kB", "MB", "GB", "TB"], 1000);
const time = (seconds) => {
  if (seconds == null) return "–";
  return scaled(["µs", "ms", "s"], 1000)(seconds * 1e6);
};
function span(seconds) {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = parts.findIndex(([, size]) => seconds >= size);
  if (at < 0) return "0 s";
  const rest = parts.slice(at, at + 2).map(([unit, size]) => {
    const amount = Math.floor(seconds / size);
    seconds -= amount * size;
    return `${amount} ${unit}`;
  });
  return rest.join(" ");
}

// What was told so far.
let before = null;
let history = [];
let reasons = [];
const told = new Set();

const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

function take(stats) {
  if (before && (stats.uptime_seconds < before.uptime_seconds || stats.total.received < before.total.received)) {
    before = null;
    history = [];
  }
  const lasted = before ? stats.uptime_seconds - before.uptime_seconds : 0;
  const per = (now, then) => lasted > 0 ? (now - (then ?? 0)) / lasted : null;
  if (lasted > 0) note(stats);
  figures(stats);
  words(stats);
  tables(stats, per);
  if (history.length) charts();
  stats.latest_alerts.forEach(alert);
  before = stats;
}

// What the appliance has noted before anybody looked.
function recall({ samples }) {
  history = samples.slice(-SPAN).map((counted) => rates(counted, counted.seconds));
  before = null;
}

function note(stats) {
  const [now, then] = [stats.total, before.total];
  const dropped = {};
  for (const [reason, number] of Object.entries(now.dropped)) dropped[reason] = number - (then.dropped[reason] ?? 0);
  const counted = { dropped, recent_latency_seconds: stats.recent_latency_seconds };
  for (const key of ["received", "forwarded", "bypassed", "would", "received_bytes", "sent_bytes"]) counted[key] = now[key] - then[key];
  counted.alerts = sum(now.alerts) + now.further_alerts - sum(then.alerts) - then.further_alerts;
  history.push(rates(counted, stats.uptime_seconds - before.uptime_seconds));
  history = history.slice(-SPAN);
}

// Of what was counted in so many seconds.
function rates(counted, seconds) {
  const per = (number) => seconds > 0 ? number / seconds : null;
  const dropped = { "would be refused": per(counted.would) };
  for (const [reason, number] of Object.entries(counted.dropped)) dropped[reason] = per(number);
  return {
    received: per(counted.received),
    forwarded: per(counted.forwarded - counted.bypassed),
    bypassed: per(counted.bypassed),
    refused: per(sum(counted.dropped)),
    alerts: per(counted.alerts),
    in: per(8 * counted.received_bytes),
    out: per(8 * counted.sent_bytes),
    dropped,
    latency: counted.recent_latency_seconds.count > 0 ? counted.recent_latency_seconds : {},
  };
}

function figures(stats) {
  const { total } = stats, now = history.at(-1) ?? {};
  const set = (id, text) => { show(id).textContent = text; };
  set("packets", rate(now.received));
  set("packets-total", `${count(total.received)} in all`);
  set("bits", now.in == null ? "–" : bits(now.in));
  set("bits-out", now.out == null ? "" : `${bits(now.out)} out`);
  set("refused", rate(now.refused));
  set("refused-total", `${count(sum(total.dropped))} in all`);
  const recent = stats.recent_latency_seconds.count > 0 ? stats.recent_latency_seconds : total.latency_seconds;
  set("latency", time(recent.p99));
  set("latency-rest", recent.median == null ? "" : `median ${time(recent.median)}`);
  set("flows", count(total.flows.open));
  set("flows-limit", `of ${count(stats.flow_limit)}`);
  set("alerts-total", count(sum(total.alerts) + total.further_alerts));
  set("alerts-rate", now.alerts == null ? "" : `${rate(now.alerts)} a second`);
}

function words(stats) {
  const health = show("health"), banner = show("banner"), { total } = stats;
  health.textContent = stats.healthy ? "healthy" : stats.draining ? "draining" : "not healthy";
  health.className = `pill ${stats.healthy ? "good" : "bad"}`;
  const well = stats.bypass.on ? "Load balancers are told to send, but nothing is inspected." : "All is well: load balancers are told to send.";
  const says = [stats.healthy ? well : `Load balancers are told to stay away: ${stats.ailments.join("; ")}.`];
  says.push(`${count(stats.workers.length)} worker${stats.workers.length === 1 ? "" : "s"} up for ${span(stats.uptime_seconds)}.`);
  if (total.overloaded) says.push(`${total.overloaded} of them have too much to do.`);
  if (stats.silent_workers.length) says.push(`No answer from worker ${stats.silent_workers.join(", ")}: its numbers are old.`);
  if (sum(total.send_failed)) says.push(`${count(sum(total.send_failed))} packets could not be sent.`);
  if (total.overflow) says.push(`${count(total.overflow)} were lost before they were received.`);
  if (total.panics) says.push(`Inspectors have panicked ${count(total.panics)} times.`);
  show("words").textContent = says.join(" ");
  banner.hidden = !stats.bypass.on;
  if (stats.bypass.on) {
    banner.textContent = `Bypass is on for ${span(stats.bypass.seconds)}: everything passes, and nobody looks at it. ${count(total.bypassed)} packets so far.`;
  }
  show("bypass").textContent = orders.bypass.sure ? orders.bypass.sure : stats.bypass.on ? "End bypass" : "Bypass";
  orders.bypass.on = !stats.bypass.on;
  show("drain").disabled = stats.draining || !token();
  document.title = `${stats.bypass.on ? "BYPASS" : health.textContent} – appliance`;
  show("footer").textContent = `gwlb-geneve ${stats.version}. Since the start: ${exact(total.received)} received, ${exact(total.forwarded)} forwarded, ${exact(sum(total.dropped))} refused, ${exact(total.sent)} sent; accounts ${stats.balanced ? "balance" : "are under way"}. The same numbers: /stats, /history, /metrics.`;
}

function charts() {
  const of = (key) => history.map((sample) => sample[key]);
  const packets = [{ name: "forwarded", values: of("forwarded") }, { name: "refused", values: of("refused"), colour: 2 }];
  if (history.some((sample) => sample.bypassed > 0)) packets.push({ name: "bypassed", values: of("bypassed"), colour: 1 });
  draw(show("chart-packets"), packets, rate, true);
  draw(show("chart-bits"), [{ name: "in", values: of("in") }, { name: "out", values: of("out") }], bits, false);
  draw(show("chart-verdicts"), verdicts(), rate, true);
  const quantile = (name, key) => ({ name, values: history.map(({ latency }) => latency[key]) });
  draw(show("chart-latency"), [quantile("median", "median"), quantile("p99", "p99"), quantile("p99.9", "p999")], time, false);
}

// The reasons that most packets were refused for, each in the colour that it has had from the beginning.
function verdicts() {
  const totals = {};
  for (const { dropped } of history) {
    for (const [reason, number] of Object.entries(dropped)) totals[reason] = (totals[reason] ?? 0) + number;
  }
  const top = Object.keys(totals).filter((reason) => totals[reason] > 0).sort((a, b) => totals[b] - totals[a]).slice(0, 6);
  reasons = [...reasons.filter((reason) => top.includes(reason)), ...top.filter((reason) => !reasons.includes(reason))];
  const series = reasons.map((name) => ({ name, values: history.map(({ dropped }) => dropped[name] ?? 0) }));
  const others = history.map(({ dropped }) => Object.keys(dropped).filter((reason) => !reasons.includes(reason)).reduce((all, reason) => all + dropped[reason], 0));
  if (others.some((number) => number > 0)) series.push({ name: "others", values: others });
  return series.length ? series : [{ name: "none", values: history.map(() => 0) }];
}

function fill(id, rows) {
  const body = show(id).tBodies[0];
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((text, index) => {
      const cell = row.insertCell();
      cell.textContent = text;
      cell.className = show(id).tHead.rows[0].cells[index].className;
    });
    return row;
  }));
  if (!rows.length) {
    const cell = body.insertRow().insertCell();
    cell.colSpan = show(id).tHead.rows[0].cells.length;
    cell.className = "empty";
    cell.textContent = "None.";
  }
}

function tables(stats, per) {
  const last = before?.total;
  const named = (counts, then, what) => Object.entries(counts).map(([name, number]) => [name, what, per(number, then?.[name]), number]);
  const rules = [...named(stats.total.dropped, last?.dropped, "refused"), ...named(stats.total.alerts, last?.alerts, "alert"), ...named(stats.total.exceptions, last?.exceptions, "exception")];
  rules.sort((a, b) => b[3] - a[3]);
  fill("top-rules", rules.slice(0, 12).map(([name, what, speed, number]) => [name, what, rate(speed), count(number)]));

  const endpoints = Object.entries(stats.endpoints).map(([name, now]) => [name, now, before?.endpoints[name]]);
  if (stats.other_endpoints.received) endpoints.push(["all others", stats.other_endpoints, before?.other_endpoints]);
  endpoints.sort((a, b) => b[1].bytes - a[1].bytes);
  fill("endpoints", endpoints.slice(0, 12).map(([name, now, then]) => [name, rate(per(now.received, then?.received)), now && before ? bits(per(8 * now.bytes, 8 * (then?.bytes ?? 0)) ?? 0) : "–", count(now.received - now.forwarded)]));

  const of = (flow) => `${flow.endpoint} ${flow.protocol} ${flow.client} ${flow.server} ${flow.first_seen}`;
  const known = new Map(before?.top_flows.map((flow) => [of(flow), sum(flow.bytes)]));
  fill("top-flows", stats.top_flows.map((flow) => {
    const then = known.get(of(flow)), moved = sum(flow.bytes);
    return [flow.client, flow.server, flow.protocol, then == null ? "–" : bits(per(8 * moved, 8 * then) ?? 0), bytes(moved)];
  }));
}

function alert(it) {
  if (told.has(it.number)) return;
  told.add(it.number);
  show("no-alerts").hidden = true;
  const make = (name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const item = document.createElement("li"), text = document.createElement("div");
  const became = it.disposition ? `${it.disposition}${it.reason ? `: ${it.reason}` : ""}` : "";
  // Many messages tell the flow themselves.
  const rest = [it.message.includes(it.endpoint) ? "" : it.flow, became].filter((words) => words).join(", ");
  text.append(make("b", it.name), ` ${it.message}`, make("small", rest));
  item.append(make("time", new Date(it.time * 1000).toLocaleTimeString("en-GB")), make("span", it.severity, `tag ${it.severity}`), text);
  show("alerts").prepend(item);
  while (show("alerts").children.length > 100) show("alerts").lastChild.remove();
  if (told.size > 1000) told.delete(told.values().next().value);
}

// The token, for as long as the tab is open.
const token = () => sessionStorage.getItem(TOKEN);
const headers = () => token() ? { Authorization: `Bearer ${token()}` } : {};

function ask(why) {
  const was = token();
  sessionStorage.removeItem(TOKEN);
  show("login").hidden = false;
  show("content").hidden = true;
  show("banner").hidden = true;
  for (const id of ["bypass", "drain", "leave"]) show(id).hidden = true;
  show("health").textContent = "token needed";
  show("health").className = "pill";
  show("refusal").textContent = was ? why : "";
  show("token").focus();
}

function enter() {
  show("login").hidden = true;
  show("content").hidden = false;
  show("leave").hidden = !token();
  for (const id of ["bypass", "drain"]) {
    show(id).hidden = false;
    show(id).disabled = !token();
    show(id).title = token() ? "" : "Without manage-token nobody can give orders here.";
  }
}

// Follows what happens until the connection ends.
async function follow(signal) {
  const answer = await fetch("events", { headers: headers(), cache: "no-store", signal });
  if (answer.status === 401) { ask("That is not the token."); return false; }
  if (!answer.ok) throw new Error((await answer.text()).trim());
  enter();
  const past = await fetch("history", { headers: headers(), cache: "no-store", signal });
  if (past.ok) recall(await past.json());
  if (history.length) charts();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    const events = (text + value).split("\n\n");
    text = events.pop();
    events.forEach(hear);
  }
}

function hear(event) {
  const field = (name) => event.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const told = JSON.parse(field("data"));
  if (field("event") === "stats") take(told);
  else alert(told);
}

let attempt = null;
async function begin() {
  attempt?.abort();
  if (document.documentElement.dataset.token === "needed" && !token()) { ask(""); return; }
  const mine = attempt = new AbortController();
  while (attempt === mine) {
    try {
      if (!await follow(mine.signal)) return;
    } catch (error) {
      if (attempt !== mine) return;
      show("health").textContent = "no answer";
      show("health").className = "pill bad";
      show("words").textContent = `The appliance does not answer: ${error.message}. Trying again.`;
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

// Orders take two clicks.
const orders = {
  bypass: { path: "bypass", on: true, sure: null },
  drain: { path: "drain", sure: null },
};
function arm(id, question, body) {
  const button = show(id), order = orders[id];
  let label = button.textContent;
  const calm = () => { order.sure = null; button.classList.remove("sure"); button.textContent = label; };
  button.addEventListener("click", async () => {
    if (!order.sure) {
      label = button.textContent;
      order.sure = question();
      button.classList.add("sure");
      button.textContent = order.sure;
      order.timer = setTimeout(calm, 5000);
      return;
    }
    clearTimeout(order.timer);
    calm();
    const answer = await fetch(order.path, { method: "POST", headers: headers(), body: body() });
    if (!answer.ok) show("words").textContent = (await answer.text()).trim();
  });
}
arm("bypass", () => orders.bypass.on ? "Really pass everything?" : "Really end bypass?", () => orders.bypass.on ? "on" : "off");
arm("drain", () => "Really go down?", () => "");

show("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, show("token").value);
  show("token").value = "";
  begin();
});
show("leave").addEventListener("click", () => { attempt?.abort(); attempt = null; sessionStorage.removeItem(TOKEN); before = null; ask(""); });
window.addEventListener("resize", () => { if (history.length) charts(); });
begin();
