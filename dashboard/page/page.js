// Polls the API while the page is visible, and shows changes.

import { ask, Refused } from "./ask.js";
import { bars, calendar, duration, element, milliseconds, percent, rows, tiles, whole } from "./draw.js";

const EVERY_MS = 2000;
const AFTER_FAILURE_MS = 5000;

const at = (id) => document.getElementById(id);
const drawn = new Map();
let access = { credential: "", userId: "", timeZone: "UTC" };
let timer = 0;
let round = 0;

// A link may carry credentials in its fragment, which browsers do not send. They are moved to the session storage of the tab.
function takeAccess() {
  const link = new URLSearchParams(location.hash.slice(1));
  const kept = JSON.parse(sessionStorage.getItem("access") ?? "{}");
  access = {
    credential: link.get("key") ?? link.get("token") ?? kept.credential ?? "",
    userId: link.get("user_id") ?? kept.userId ?? "",
    timeZone: link.get("tz") ?? kept.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC",
  };
  if (location.hash) history.replaceState(null, "", location.pathname);
  keepAccess();
}

function keepAccess() {
  sessionStorage.setItem("access", JSON.stringify(access));
  at("credential").value = access.credential;
  at("user-id").value = access.userId;
  at("time-zone").value = access.timeZone;
  at("access").open = !access.credential;
}

function say(state, words) {
  at("freshness").dataset.state = state;
  at("freshness").querySelector(".words").textContent = words;
}

function sayFreshness(meta) {
  if (meta.consistent_through === null) {
    say("waiting", "live, freshness unknown");
    return;
  }
  const behind = Math.max(0, (Date.parse(meta.generated_at) - Date.parse(meta.consistent_through)) / 1000);
  const time = new Date(meta.consistent_through).toLocaleTimeString("en-GB");
  say("live", `live, complete through ${time} (${behind.toFixed(1)} s behind)`);
}

// Draws only changed content, so that charts do not flicker under the pointer.
function whenNew(name, content, draw) {
  const text = JSON.stringify(content);
  if (drawn.get(name) === text) return;
  drawn.set(name, text);
  draw(content);
}

function showLearner(overview, heatmap, progress) {
  tiles(at("learner-tiles"), [
    ["Sessions", whole(overview.total_sessions), overview.open_sessions ? `${overview.open_sessions} open` : ""],
    ["Time", duration(overview.total_duration_seconds)],
    ["Materials viewed", whole(overview.materials_viewed), `${whole(overview.distinct_materials_viewed)} different`],
    ["Materials completed", whole(overview.materials_completed), `${whole(overview.distinct_materials_completed)} different`],
    ["XP earned", whole(overview.xp_earned)],
    ["Active days", whole(overview.active_days)],
    ["Streak", whole(overview.current_streak), `longest ${overview.longest_streak}`],
    ["Achievements", whole(overview.achievements_earned)],
  ]);
  at("level").textContent = progress.current_level;
  at("level-progress").value = progress.progress_percentage;
  at("level-words").textContent = `${whole(progress.current_xp)} XP; level ${progress.current_level + 1} at ${whole(progress.xp_for_next_level)} XP`;
  whenNew("achievements", progress.achievements, (achievements) => {
    const items = achievements.map((earned) =>
      element("li", {}, earned.name ?? earned.achievement_id, element("time", { datetime: earned.earned_at }, earned.earned_at.slice(0, 10))),
    );
    at("achievements").replaceChildren(...(items.length ? items : [element("li", {}, "none yet")]));
  });
  whenNew("xp", progress.xp_trend, (days) => bars(at("xp-trend"), "XP", days.map((day) => ({ label: day.date, value: day.xp }))));
  whenNew("heatmap", heatmap.days, (days) => calendar(at("heatmap"), days));
}

function showPlatform(metrics) {
  tiles(at("platform-tiles"), [
    ["Requests", whole(metrics.total_requests)],
    ["Error rate", percent(metrics.error_rate)],
    ["p50", milliseconds(metrics.latency_ms.p50)],
    ["p95", milliseconds(metrics.latency_ms.p95)],
    ["p99", milliseconds(metrics.latency_ms.p99)],
    ["Active users", metrics.suppressed.includes("active_users") ? "suppressed" : whole(metrics.active_users)],
  ]);
  const day = Number(at("hours").value) < 24 ? {} : { day: "numeric", month: "short" };
  const label = (start) => new Date(start).toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
  whenNew("series", metrics.series, (steps) =>
    bars(at("series"), "Requests", steps.map((step) => ({ label: label(step.start), value: step.requests, bad: step.server_errors }))),
  );
  whenNew("endpoints", metrics.top_endpoints, (endpoints) =>
    rows(at("endpoints"), endpoints.map((one) => [
      one.endpoint,
      whole(one.requests),
      element("td", one.error_rate > 0.01 ? { class: "bad" } : {}, percent(one.error_rate)),
      milliseconds(one.p50),
      milliseconds(one.p95),
      milliseconds(one.p99),
    ])),
  );
  whenNew("errors", metrics.errors_by_type, (errors) => rows(at("errors"), Object.entries(errors).map(([type, count]) => [type, whole(count)])));
}

// Updates one part of the page. A refusal is shown in that part; an outage is raised.
async function part(mine, name, questions, show) {
  try {
    const answers = await Promise.all(questions);
    if (mine !== round) return null;
    show(...answers);
    at(`${name}-notice`).hidden = true;
    at(name).hidden = false;
    return answers[0].meta;
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) throw error;
    at(`${name}-notice`).textContent = error.message;
    at(`${name}-notice`).hidden = false;
    at(name).hidden = true;
    return null;
  }
}

async function look() {
  const mine = ++round;
  clearTimeout(timer);
  if (document.hidden) {
    say("paused", "paused while hidden");
    return;
  }
  if (!access.credential) {
    say("waiting", "no credentials");
    return;
  }
  const { credential } = access;
  const about = (days) => ({ days, user_id: access.userId, tz: access.timeZone });
  let pause = EVERY_MS;
  try {
    const metas = await Promise.all([
      part(mine, "learner", [
        ask("learning/overview", about(30), credential),
        ask("learning/heatmap", about(365), credential),
        ask("gamification/progress", about(30), credential),
      ], showLearner),
      part(mine, "platform", [ask("system/metrics", { hours: at("hours").value }, credential)], showPlatform),
    ]);
    if (mine !== round) return;
    const meta = metas.find((one) => one !== null);
    if (meta) sayFreshness(meta);
    else say("failed", "refused");
  } catch {
    if (mine !== round) return;
    say("failed", "no answer, retrying");
    pause = AFTER_FAILURE_MS;
  }
  timer = setTimeout(look, pause);
}

at("access-form").addEventListener("submit", (event) => {
  event.preventDefault();
  access = { credential: at("credential").value.trim(), userId: at("user-id").value.trim(), timeZone: at("time-zone").value.trim() };
  keepAccess();
  look();
});
at("forget").addEventListener("click", () => {
  sessionStorage.clear();
  location.reload();
});
at("hours").addEventListener("change", look);
document.addEventListener("visibilitychange", look);
window.addEventListener("hashchange", () => {
  takeAccess();
  look();
});

takeAccess();
look();
