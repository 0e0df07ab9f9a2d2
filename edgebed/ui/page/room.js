// Map, decision feed and time slider. `apply` takes what changed (deltas.py, state.py); text goes in by textContent only.
const SVG = "http://www.w3.org/2000/svg";
const GAP = { x: 14, y: 24 }, ALONE = 44, NARROW = 215;
const HEAD = 42, LETTER = 6.3, MOST_ARROWS = 60;
const FAILED = { voided: "bad", rejected: "bad" };

function put(parent, name, attributes, text) {
  const made = parent.namespaceURI === SVG || name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
// Makes these the children of an element, [name, attributes, text or children] each; what is as it was is not touched.
function draw(parent, items) {
  const wanted = items.filter(Boolean);
  wanted.forEach(([name, attributes, inner], i) => {
    let here = parent.children[i];
    if (here && here.tagName !== name) while (parent.children.length > i) parent.lastChild.remove();
    if (!here?.parentNode) here = put(parent, name);
    for (const old of here.getAttributeNames()) if (!(old in attributes)) here.removeAttribute(old);
    for (const [key, value] of Object.entries(attributes)) if (here.getAttribute(key) !== String(value)) here.setAttribute(key, value);
    if (Array.isArray(inner)) draw(here, inner);
    else if (here.textContent !== String(inner ?? "")) here.textContent = inner ?? "";
  });
  while (parent.children.length > wanted.length) parent.lastChild.remove();
}
const fit = (text, width) => {
  const most = Math.max(3, Math.floor(width / LETTER));
  return text.length <= most ? text : text.slice(0, most - 1) + "…";
};
const time = (s) => (s < 10 ? s.toFixed(2) : s < 100 ? s.toFixed(1) : Math.round(s).toLocaleString("en")) + " s";
const rest = (key) => key.slice(key.indexOf("/") + 1);

export default {
  template: `
    <section class="room" aria-label="The testbed">
      <div class="room-facts"></div>
      <p class="room-problem" role="alert" hidden></p>
      <p class="room-empty" role="status">Loading the run …</p>
      <div class="room-stage" hidden>
        <div><div class="room-map"></div>
          <p class="room-key quiet">A row: what a model computes on, its share of the GPU, and the requests in its queue; struck through:
            a controller sends none there. Arrows: requests sent to other nodes<span></span>.</p></div>
        <div class="room-feed"><h2>Latest decisions</h2><ol></ol><p class="quiet">None up to this moment.</p></div>
      </div>
      <div class="room-time" role="group" aria-label="Time" hidden>
        <button type="button" class="room-play"></button>
        <label>Speed <select></select></label>
        <div class="room-track"><div class="room-marks" aria-hidden="true"></div>
          <input type="range" aria-label="Moment of the run, virtual seconds" step="any"></div>
        <output></output>
        <button type="button" class="room-now"></button>
      </div>
      <div class="room-over" role="alertdialog" aria-label="Connection" hidden>
        <div><h2>Connection lost</h2><p>The server of this page does not answer. Trying again …</p>
        <p class="quiet">A page that was started with --ui ends with its testbed; its runs stay, and edgebed ui shows them.</p>
        <button type="button">Reload now</button></div>
      </div>
    </section>`,
  mounted() {
    this.state = new Map();
    this.points = new Map();
    this.cards = new Map();
    const find = (selector) => this.$el.querySelector(selector);
    for (const name of ["facts", "problem", "empty", "stage", "map", "feed", "time", "play", "now", "marks", "over"])
      this["$" + name] = find(".room-" + name);
    this.$slider = find("input");
    this.$pace = find("select");
    for (const pace of [0.25, 1, 2, 5, 10, 30, 60]) put(this.$pace, "option", { value: pace }, `${pace} ×`);
    this.$pace.onchange = () => this.$emit("pace", Number(this.$pace.value));
    this.$slider.oninput = () => { this.said(Number(this.$slider.value)); this.asked(); };
    this.$play.onclick = () => this.$emit(this.moving ? "pause" : "play");
    this.$now.onclick = () => this.$emit("now");
    find(".room-over button").onclick = () => window.location.reload();
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.$map);
    this.connected();
  },
  unmounted() { this.observer.disconnect(); },
  methods: {
    // -- what comes from the server
    apply(change) {
      const keys = [...(change.gone || []), ...Object.keys(change.set || {})];
      for (const key of change.gone || []) this.state.delete(key);
      for (const [key, value] of Object.entries(change.set || {})) this.state.set(key, value);
      const kinds = new Set(keys.map((key) => key.split("/", 1)[0]));
      const any = (...names) => names.some((name) => kinds.has(name));
      if (any("empty", "run", "order")) this.frame();
      if (any("facts", "run", "looks")) this.facts();
      if (any("order") || keys.some((key) => key[0] === "e" && !this.rows?.has(key))) this.layout();
      else if (any("n", "e", "f")) this.redraw(keys);
      if (any("d")) this.feed(keys.filter((key) => key.startsWith("d/")));
      if (any("time", "v")) this.clock();
      for (const [key, plot] of Object.entries(change.plots || {})) this.plot(key, plot);
    },
    compact(on) { this.$el.classList.toggle("room-compact", on); if (!on) this.layout(); },
    plot(key, { drop, keep, points }) {
      const old = this.points.get(key) || [];
      this.points.set(key, old.slice(drop, drop + keep).concat(points));
      this.drawn(key);
    },
    drawn(key) {
      const slash = key.indexOf("/");
      const chart = getElement(Number(key.slice(0, slash)));
      if (!chart?.chart) return setTimeout(() => this.drawn(key), 100);
      chart.run_chart_method("setOption", { series: [{ id: key.slice(slash + 1), data: this.points.get(key) }] }, { lazyUpdate: true });
    },
    // -- words round the map
    frame() {
      const empty = this.state.get("empty");
      this.$stage.hidden = this.$time.hidden = this.$facts.hidden = !!empty;
      this.$empty.hidden = !empty;
      if (empty) this.$empty.textContent = empty[0] || `No run of ${empty[1]} yet. It is shown here as soon as one begins.`;
    },
    facts() {
      const [, scheme, decides] = this.state.get("run") || [];
      this.$facts.replaceChildren();
      const chip = put(this.$facts, "span", { class: "chip" });
      const ink = (this.state.get("looks") || {})[scheme];
      put(chip, "i", { style: `background: var(--${/^[a-z0-9-]+$/.test(ink) ? ink : "ink"})` });
      chip.append(decides === scheme ? scheme || "" : `${scheme} → ${decides}`);
      for (const [word, figure] of this.state.get("facts") || []) {
        const fact = put(this.$facts, "span", { class: "fact" });
        put(fact, "small", {}, word);
        put(fact, "b", {}, figure);
      }
    },
    feed(keys) {
      const list = this.$feed.querySelector("ol");
      for (const key of keys) {
        const decision = this.state.get(key);
        let item = list.querySelector(`[data-number="${CSS.escape(rest(key))}"]`);
        if (!decision) { item?.remove(); continue; }
        if (!item) {
          item = document.createElement("li");
          item.dataset.number = decision[0];
          list.insertBefore(item, [...list.children].find((other) => Number(other.dataset.number) < decision[0]) || null);
          put(item, "button", { type: "button" }).onclick = () => this.$emit("decision", Number(item.dataset.number));
        }
        const [, t, actor, said, outcome, byHand] = decision;
        const button = item.firstChild;
        button.replaceChildren();
        put(button, "small", {}, time(t));
        put(button, "b", { class: byHand ? "hand" : "" }, actor);
        put(button, "span", {}, said);
        if (outcome !== "applied") put(button, "em", { class: FAILED[outcome] || "" }, outcome);
      }
      this.$feed.querySelector("p").hidden = list.children.length > 0;
    },
    // -- time
    asked() {
      clearTimeout(this.asking);
      this.asking = setTimeout(() => { this.asking = undefined; this.$emit("seek", Number(this.$slider.value)); }, 60);
    },
    said(t) {
      const end = Number(this.$slider.max);
      this.$time.querySelector("output").textContent = `${time(t)} of ${time(end)}`;
      this.$slider.setAttribute("aria-valuetext", `${time(t)} of ${time(end)}`);
    },
    clock() {
      const [t, from, to, planned, following, playing, pace, growing, problem] = this.state.get("time") || [];
      if (t === undefined) return;
      const end = planned < 1e8 && planned > to ? planned : to;
      this.moving = playing;
      this.$slider.min = from;
      this.$slider.max = end;
      if (!this.asking) { this.$slider.value = t; this.said(t); }
      this.$slider.style.setProperty("--seen", `${(100 * (to - from)) / Math.max(end - from, 1e-9)}%`);
      this.$pace.value = pace;
      this.$play.textContent = playing ? "❚❚ Pause" : "▶ Play";
      this.$now.textContent = growing ? (following ? "● Live" : "Go to now") : "End";
      this.$now.classList.toggle("live", growing && following);
      this.$now.disabled = growing ? following : t >= to - 0.01;
      this.$problem.hidden = !problem;
      this.$problem.textContent = problem || "";
      this.$marks.replaceChildren();
      for (const [key, value] of this.state)
        if (key.startsWith("v/") && value[2] <= end) {
          const [type, target, onset, undone] = value;
          const at = (s) => (100 * (Math.min(Math.max(s, from), end) - from)) / Math.max(end - from, 1e-9);
          const until = at(undone ?? t);
          put(this.$marks, "i", { style: `left: ${at(onset)}%; width: ${Math.max(until - at(onset), 0.3)}%`, title: `${type} ${target}` });
        }
    },
    connected() {
      if (!window.socket) return setTimeout(() => this.connected(), 50);
      window.socket.on("disconnect", () => { this.$over.hidden = false; this.$over.querySelector("button").focus(); });
      window.socket.on("connect", () => { this.$over.hidden = true; });
    },
    // -- the map
    layout() {
      const order = this.state?.get("order");
      const wide = this.$map?.clientWidth;
      if (!order || !wide) return;
      const held = this.$map.contains(document.activeElement);
      this.rows = new Map([...this.state].filter(([key]) => key.startsWith("e/")));
      const most = Math.max(1, ...order.map((id) => this.executors(id).length));
      const fitting = Math.max(1, Math.min(order.length, Math.floor((wide + GAP.x) / (150 + GAP.x))));
      const columns = Math.ceil(order.length / Math.ceil(order.length / fitting));
      const lines = Math.ceil(order.length / columns);
      const row = lines === 1 ? 24 : 16;
      const card = { w: (wide - GAP.x * (columns - 1) - 2) / columns, h: HEAD + most * row + 4, row };
      const high = lines * (card.h + GAP.y) + (lines === 1 ? ALONE - GAP.y : 4);
      this.$map.replaceChildren();
      const svg = put(this.$map, "svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "list", "aria-label": "Nodes and their models" });
      const defs = put(svg, "defs");
      const hatch = put(defs, "pattern", { id: "room-hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
      put(hatch, "path", { d: "M0 0V6", class: "hatch" });
      const head = put(defs, "marker", { id: "room-tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" });
      put(head, "path", { d: "M0 0L8 4L0 8z", class: "tip" });
      this.$flows = put(svg, "g", { class: "flows", "aria-hidden": "true" }); // behind the cards
      this.cards = new Map(order.map((id, i) => {
        const x = 1 + (i % columns) * (card.w + GAP.x), y = 1 + Math.floor(i / columns) * (card.h + GAP.y);
        const item = put(svg, "g", { transform: `translate(${x} ${y})`, role: "listitem" });
        const group = put(item, "g", { role: "button", "aria-haspopup": "dialog", tabindex: -1, "data-node": id });
        group.onclick = () => this.$emit("node", id);
        group.onkeydown = (event) => this.key(event, i, columns);
        return [id, { x, y, ...card, group }];
      }));
      for (const id of order) this.card(id);
      this.flows();
      this.stop(order.includes(this.at) ? this.at : order[0], held);
    },
    // The map is one stop of the Tab key; arrow keys go from card to card, Enter or Space opens one.
    stop(id, focus) {
      this.cards.get(this.at)?.group.setAttribute("tabindex", -1);
      this.at = id;
      this.cards.get(id).group.setAttribute("tabindex", 0);
      if (focus) this.cards.get(id).group.focus();
    },
    key(event, i, columns) {
      const order = this.state.get("order"), last = order.length - 1;
      const steps = { ArrowLeft: i - 1, ArrowRight: i + 1, ArrowUp: i - columns, ArrowDown: i + columns, Home: 0, End: last };
      if (event.key === "Enter" || event.key === " ") this.$emit("node", order[i]);
      else if (!(event.key in steps)) return;
      else if (order[steps[event.key]]) this.stop(order[steps[event.key]], true);
      event.preventDefault();
    },
    executors(id) { return [...this.state].filter(([key, e]) => key.startsWith("e/") && e[0] === id).map(([, e]) => e); },
    redraw(keys) {
      const dirty = new Set();
      for (const key of keys) {
        if (key.startsWith("n/")) dirty.add(rest(key));
        if (key.startsWith("e/") && this.state.get(key)) dirty.add(this.state.get(key)[0]);
        if (key.startsWith("f/")) dirty.add((this.state.get(key) || [])[1]);
      }
      for (const id of dirty) this.card(id);
      if (keys.some((key) => key.startsWith("f/"))) this.flows();
    },
    card(id) {
      const at = this.cards.get(id), node = this.state.get(`n/${id}`);
      if (!at || !node) return;
      const [, devices, there, wrong] = node, { group, w, h, row } = at;
      const come = [...this.state].filter(([key, f]) => key.startsWith("f/") && f[1] === id).reduce((sum, [, f]) => sum + f[2], 0);
      const told = wrong.join(" · ");
      group.setAttribute("class", `card${there ? "" : " away"}${wrong.length ? " wrong" : ""}`);
      group.setAttribute("aria-label", `${id}: ${devices}${wrong.length ? "; " + wrong.join(", ") : ""}`);
      draw(group, [
        ["rect", { width: w, height: h, rx: 6, class: "box" }],
        ["text", { x: 9, y: 16, class: "name" }, fit(id, w - 18 - LETTER * (told.length + 3))],
        ["text", { x: w - 9, y: 16, class: "told" }, fit(told, w - 60)],
        ["text", { x: 9, y: 30, class: "small" }, fit(devices, w - 84)],
        ["text", { x: w - 9, y: 30, class: "small end" }, come ? `${come.toFixed(come < 10 ? 2 : 0)} req/s` : "no requests"],
        ["title", {}, `${id}: ${devices}${told ? "; " + told : ""}`],
        ...this.executors(id).map((executor, i) => this.executor(executor, HEAD + i * row, w)),
      ]);
    },
    executor([node, model, state, mode, share, queued, masked, predicted, measured], y, w) {
      const works = state === "ready" ? mode.toUpperCase() + (share === null ? "" : share ? ` ${Math.round(100 * share)}%` : " idle") : state;
      const narrow = w < NARROW, right = narrow ? 30 : 66;
      const bar = queued === null ? 0 : Math.min(34, 34 * (1 - Math.exp(-queued / 8)));
      const took = `predicted ${predicted === null ? "–" : time(predicted)}, measured ${measured === null ? "–" : time(measured)}`;
      const said = `${model} on ${node}: ${works}${masked ? ", masked by the scheduler" : ""}; ${queued ?? "unknown number"} queued; ${took}`;
      return ["g", { class: `row ${mode} ${state}${masked ? " masked" : ""}` }, [
        ["title", {}, said],
        ["text", { x: 24, y: y + 10, class: "model" }, fit(model, w - right - 76)],
        ["text", { x: w - right, y: y + 10, class: "small end" }, fit(works, 62)],
        ["text", { x: w - 9, y: y + 10, class: "small end" }, queued === null ? "–" : queued],
        ["rect", { x: 9, y: y + 2, width: 9, height: 9, class: "mode" }],
        !narrow && ["rect", { x: w - 60, y: y + 3, width: 34, height: 7, class: "track" }],
        !narrow && ["rect", { x: w - 60, y: y + 3, width: bar, height: 7, class: "queue" }],
        state === "starting" && ["rect", { x: 9, y: y + 2, width: 9, height: 9, fill: "url(#room-hatch)" }],
        masked && ["path", { d: `M22 ${y + 7}H${w - right - 50}`, class: "strike" }],
      ]];
    },
    flows() {
      const all = [...this.state].filter(([key]) => key.startsWith("f/")).map(([, flow]) => flow);
      const sent = all.filter(([origin, node]) => origin !== node && this.cards.has(origin) && this.cards.has(node));
      this.$el.querySelector(".room-key span").textContent = sent.length > MOST_ARROWS ? `, the busiest ${MOST_ARROWS} of ${sent.length}` : "";
      draw(this.$flows, sent.sort((one, other) => other[2] - one[2]).slice(0, MOST_ARROWS).map(([origin, node, rate]) => {
        const a = this.cards.get(origin), b = this.cards.get(node), down = b.y >= a.y, same = a.y === b.y;
        const from = [a.x + a.w * 0.4, down ? a.y + a.h : a.y], to = [b.x + b.w * 0.6, same || !down ? b.y + b.h : b.y];
        const bend = same ? GAP.y * 0.9 : (to[1] - from[1]) / 2;
        const d = `M${from}C${from[0]} ${from[1] + bend} ${to[0]} ${same ? to[1] + bend : to[1] - bend} ${to}`;
        return ["path", { d, "stroke-width": Math.min(5, 0.8 + 1.6 * Math.sqrt(rate)), "marker-end": "url(#room-tip)" }, [["title", {}, `${origin} → ${node}: ${rate} req/s`]]];
      }));
    },
  },
};
