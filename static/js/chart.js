// Draws <div data-chart="ID" data-kind="sparkline|series"> from <script type="application/json" id="ID">:
// {"x": [epoch seconds], "series": [{"label": "Sent", "values": [1, null, 3], "colour": "accent"}], "unit": "records"}
// uPlot is fetched when the first chart comes into the page.

const own = document.getElementById("chart-script");
const drawn = new Map();
let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = own.dataset.uplotCss;
    const script = document.createElement("script");
    script.src = own.dataset.uplot;
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(style, script);
  });
  return loading;
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// Resolves light-dark() and var() to the colour in force.
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--c-${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const faded = (value) => value.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)");
// Hours and minutes; the day where it begins.
function timeLabel(at, before) {
  const day = new Date(at * 1000);
  const isNewDay = before !== null && new Date(before * 1000).getDate() !== day.getDate();
  const shape = isNewDay ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return day.toLocaleString("en-GB", shape);
}

const short = (value) => Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);

function options(uPlot, element, data) {
  const isSmall = element.dataset.kind === "sparkline";
  const line = colour("line");
  const axis = { stroke: colour("muted"), font: `12px ${css("--tblr-font-sans-serif")}`, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  const clock = (_, ticks) => ticks.map((at, index) => timeLabel(at, index ? ticks[index - 1] : null));
  const whole = (values) => values.every((value) => Number.isInteger(value));
  return {
    width: element.clientWidth || 300,
    height: element.clientHeight - (isSmall ? 0 : 30) || 40,
    padding: isSmall ? [3, 0, 2, 0] : [12, 8, 0, 0],
    legend: { show: !isSmall },
    cursor: { show: !isSmall, y: false, points: { size: 6 } },
    select: { show: false },
    scales: { y: { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(max ?? 0, 1) * 1.08] } },
    axes: isSmall ? [{ show: false }, { show: false }] : [{ ...axis, size: 30, values: clock }, { ...axis, size: 48, values: (_, ticks) => (whole(ticks) ? ticks.map(short) : ticks) }],
    series: [
      { label: "Time", value: (_, at) => (at ? new Date(at * 1000).toLocaleString("en-GB") : "–") },
      ...data.series.map((series, index) => {
        const stroke = colour(series.colour ?? ["accent", "green", "orange", "blue"][index % 4]);
        return {
          label: series.label,
          stroke,
          width: isSmall ? 1.5 : 2,
          fill: data.series.length === 1 ? faded(stroke) : undefined,
          points: { show: false },
          value: (_, value) => (value == null ? "–" : `${value.toLocaleString("en")}${data.unit ? ` ${data.unit}` : ""}`),
        };
      }),
    ],
  };
}

async function draw(element) {
  const source = document.getElementById(element.dataset.chart);
  if (!source || !own) return;
  const data = JSON.parse(source.textContent);
  const uPlot = await load();
  if (!element.isConnected) return;
  drawn.get(element)?.destroy();
  element.replaceChildren();
  drawn.set(element, new uPlot(options(uPlot, element, data), [data.x, ...data.series.map((series) => series.values)], element));
  sizes.observe(element);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = drawn.get(target);
    if (plot && contentRect.width && plot.width !== Math.round(contentRect.width)) {
      plot.setSize({ width: Math.round(contentRect.width), height: plot.height });
    }
  }
});

function drawAll() {
  for (const [element, plot] of drawn) {
    if (element.isConnected) continue;
    plot.destroy();
    sizes.unobserve(element);
    drawn.delete(element);
  }
  document.querySelectorAll("[data-chart]").forEach((element) => drawn.has(element) || draw(element));
}

drawAll();
document.addEventListener("htmx:load", drawAll);
document.addEventListener("theme-changed", () => [...drawn.keys()].forEach(draw));
