/** uPlot as our charts use it: buckets side by side, a zero line, names at the ends of lines. */

import { short } from "../model/numbers.js";
import { PRINTS, colour } from "./scheme.js";

/** The page loads its script before any module. */
const { uPlot } = globalThis;

const FONT = "13px system-ui, sans-serif";
const LINE_HEIGHT = 16;
const AXIS_HEIGHT = 26;
/** The part of a chart's width that names at the ends of lines may take. */
const NAMES = 0.3;
/** Pixels before and behind such a name. */
const BESIDE = 6;
/** From name to name: steps by which hours come to whole days. */
const STEPS = [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336];
/** Pixels that are free between two names of buckets. */
const APART = 24;

const STYLES = {
  plain: { colour: "ink", width: 2 },
  people: { colour: "people", width: 2 },
  proxies: { colour: "proxies", width: 2 },
  machines: { colour: "machines", width: 1.5, dash: [6, 4] },
  before: { colour: "before", width: 1 },
};
const DOTS = [2, 4];
/** Pixels of half a mark's width, and of its height. */
const MARK = 4;

/** Whether there is a number. */
export const isKnown = (value) => value !== null && value !== undefined;

const rule = document.createElement("canvas").getContext("2d");

/** A text's width in pixels. */
function widthOf(text) {
  rule.font = FONT;
  return rule.measureText(text).width;
}

/** The widest of some texts, in pixels. */
const widest = (texts) => Math.max(0, ...texts.map(widthOf));

/** As much of a text as there is room for. */
function fitted(text, room) {
  if (widthOf(text) <= room) return text;
  let kept = text;
  while (kept && widthOf(`${kept}…`) > room) kept = kept.slice(0, -1);
  return `${kept.trimEnd()}…`;
}

/** Round numbers from 0 to at least `most`, few of them; whole ones where only whole ones are counted. */
export function ticks(most, whole) {
  const size = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9) / 3));
  const step = Math.max(...[[1, 2, 5, 10].map((n) => n * size).find((one) => one * 4 >= most)], whole ? 1 : 0);
  const n = Math.max(1, Math.ceil(most / step - 1e-9));
  return Array.from({ length: n + 1 }, (_, place) => place * step);
}

/** One chart on the page. */
export class Plot {
  /**
   * @param {HTMLElement} place
   * @param {object} given as Chart has it, and marked: which buckets have a mark; look: called with the bucket that is pointed
   *   at, or `rest` where none is; zoom: with the first and last that somebody drew over
   */
  constructor(place, given) {
    this.place = place;
    this.given = given;
    this.last = given.names.length - 1;
    const { lines } = given;
    const most = given.most ?? Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
    const whole = lines.every(({ values }) => values.every((value) => value === null || Number.isInteger(value)));
    this.marks = ticks(most || 1, whole);
    this.room = lines.length > 1 ? Math.min(widest(lines.map(({ name }) => name)), place.clientWidth * NAMES) : 0;
    this.plot = new uPlot(this.options(Math.max(this.room + BESIDE * 2, Math.ceil(widest(given.short) / 2))), this.data(), place);
    this.redraw = () => this.plot.redraw(false);
    for (const name of PRINTS) addEventListener(name, this.redraw);
  }

  /** Follows its place's width. */
  fit() {
    const width = this.place.clientWidth;
    if (width && width !== this.plot.width) this.plot.setSize({ width, height: this.given.height });
  }

  /** Points at a bucket. */
  point(at) {
    this.plot.setCursor({ left: this.plot.valToPos(at, "x"), top: 0 }, false);
  }

  destroy() {
    for (const name of PRINTS) removeEventListener(name, this.redraw);
    this.plot.destroy();
  }

  /** Whether a bucket's point is of a part of it: of the last one that is not over yet, of the first one that is cut. */
  isPart(at) {
    return (this.given.unfinished && at === this.last) || (this.given.cut && at === 0);
  }

  /** Whether a line has stretches to such points, which are lines of their own, to be dotted. */
  isDotted(kind) {
    return kind !== "before" && this.last > 0 && (this.isPart(0) || this.isPart(this.last));
  }

  /** Each line, and of one with points that are parts the stretches to these. */
  data() {
    const { lines, names } = this.given;
    const rows = [names.map((_, at) => at)];
    for (const { values, kind } of lines) {
      const padded = names.map((_, at) => values[at] ?? null);
      if (this.isDotted(kind)) {
        const isBeside = (at) => this.isPart(at) || this.isPart(at - 1) || this.isPart(at + 1);
        rows.push(padded.map((value, at) => (this.isPart(at) ? null : value)));
        rows.push(padded.map((value, at) => (isBeside(at) ? value : null)));
      } else rows.push(padded);
    }
    return rows;
  }

  series() {
    const { lines } = this.given;
    const [, ...rows] = this.data();
    const styles = lines.flatMap(({ kind }) => {
      const { colour: name, width, dash } = STYLES[kind];
      const line = { stroke: () => colour(name), width, dash };
      return this.isDotted(kind) ? [line, { ...line, dash: DOTS }] : [line];
    });
    // What is known of one bucket alone, as of a campaign that was just sent, is no line but a point.
    const isAlone = (row) => row.filter((value) => value !== null).length === 1;
    return styles.map((style, at) => ({ ...style, points: { show: isAlone(rows[at]), size: 7 } }));
  }

  options(named) {
    const axis = { stroke: () => colour("soft"), font: FONT, ticks: { show: false } };
    const numbers = this.marks.map(this.given.mark ?? short);
    return {
      width: this.place.clientWidth || 300,
      height: this.given.height,
      padding: [10, named, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 7, fill: colour("ground") },
        drag: { x: Boolean(this.given.zoom), y: false, setScale: false },
      },
      scales: {
        x: { time: false, range: () => (this.last > 0 ? [0, this.last] : [-1, 1]) },
        y: { range: () => [0, this.marks.at(-1)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: AXIS_HEIGHT,
          gap: 6,
          splits: (u) => this.splits(u),
          values: (_, at) => at.map((n) => this.given.short[n] ?? ""),
        },
        {
          ...axis,
          grid: { stroke: () => colour("line"), width: 1 },
          size: widest(numbers) + 14,
          gap: 6,
          splits: () => this.marks,
          values: () => numbers,
        },
      ],
      series: [{}, ...this.series()],
      hooks: { setCursor: [(u) => this.looked(u)], setSelect: [(u) => this.selected(u)], draw: [(u) => this.names(u), (u) => this.markings(u)] },
    };
  }

  /** The buckets that are named beneath: as many as there is room for. */
  splits(u) {
    const width = u.bbox.width / uPlot.pxRatio || this.place.clientWidth;
    const room = Math.max(1, Math.floor(width / (widest(this.given.short) + APART)));
    const least = (this.last + 1) / room;
    const step = STEPS.find((size) => size >= least) ?? Math.ceil(least);
    return Array.from({ length: Math.floor(this.last / step) + 1 }, (_, n) => n * step);
  }

  looked({ cursor }) {
    if (cursor.idx !== null && cursor.idx !== undefined && cursor.left >= 0) this.given.look(cursor.idx);
    else if (cursor.left < 0) this.given.look(this.given.rest);
  }

  selected(u) {
    const { left, width } = u.select;
    if (width < 8 || !this.given.zoom) return;
    const [first, last] = [u.posToIdx(left), u.posToIdx(left + width)];
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (last > first) this.given.zoom(first, last);
  }

  /** Draws a mark on the zero line in each bucket that has one. */
  markings(u) {
    const { ctx } = u;
    const size = MARK * uPlot.pxRatio;
    const floor = u.bbox.top + u.bbox.height;
    ctx.fillStyle = colour("ink");
    (this.given.marked ?? []).forEach((isMarked, at) => {
      if (!isMarked) return;
      const x = u.valToPos(at, "x", true);
      ctx.beginPath();
      ctx.moveTo(x - size, floor);
      ctx.lineTo(x + size, floor);
      ctx.lineTo(x, floor - 2 * size);
      ctx.fill();
    });
  }

  /** Writes the name of each line where it ends; names that would lie on each other are moved apart. */
  names(u) {
    const { lines } = this.given;
    if (lines.length < 2) return;
    const ratio = uPlot.pxRatio;
    const ends = lines.flatMap(({ name, kind, values }) => {
      const at = values.slice(0, this.last + 1).findLastIndex(isKnown);
      return at < 0 ? [] : [{ name, kind, y: u.valToPos(values[at], "y", true) }];
    });
    ends.sort((a, b) => a.y - b.y);
    const apart = LINE_HEIGHT * ratio;
    for (let n = 1; n < ends.length; n++) ends[n].y = Math.max(ends[n].y, ends[n - 1].y + apart);
    const floor = u.bbox.top + u.bbox.height;
    for (let n = ends.length - 1, most = floor; n >= 0; n--, most -= apart) ends[n].y = Math.min(ends[n].y, most);
    const { ctx } = u;
    ctx.save();
    ctx.font = FONT.replace("13px", `${13 * ratio}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    for (const { name, kind, y } of ends) {
      ctx.fillStyle = colour(kind === "before" ? "soft" : STYLES[kind].colour);
      ctx.fillText(fitted(name, this.room + 1), u.bbox.left + u.bbox.width + BESIDE * ratio, y);
    }
    ctx.restore();
  }
}
