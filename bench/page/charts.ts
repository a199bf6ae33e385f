/** Charts of reports, as SVG that stands alone. Colours are the page's, so that it can be dark. */
import * as echarts from 'echarts';
import type { Growth, Table } from '../common/report.js';
import { exponentOf } from '../common/growth.js';
import { figure } from '../common/format.js';
import { median } from '../common/statistics.js';

const WIDTH = 900;
/** Of the names beside bars. They are not measured: fonts differ from one machine to the next. */
const NAMES = 300;
/** Height of a line in a legend. */
const LEGEND = 22;
/** Height of a bar with its room, and of what is around them. */
const BAR = 44;
const AROUND = 70;
const GROWTH_HEIGHT = 380;
/** Between the ends of an axis: at most two powers of ten. */
const FEW_POWERS = 100;

/** One hue for ours, in all charts; and colours that differ in light and dark, and for people that see fewer. */
const PALETTE = ['#2f81c7', '#d9822b', '#3f9b6e', '#a869b5', '#c4504f', '#8a8d34'];
const OTHERS = '#8b96a3';
const LIMIT = '#c4504f';
/** A colour of the page: echarts takes none that it cannot read, so these are replaced afterwards. */
const TEXT = '#010203';
const FAINT = '#040506';
const INK = new Map([
  [TEXT, 'var(--text)'],
  [FAINT, 'var(--faint)'],
]);

type Option = echarts.EChartsCoreOption;

const STYLE: Option = {
  animation: false,
  backgroundColor: 'transparent',
  textStyle: { fontFamily: 'system-ui, sans-serif', color: TEXT },
};

const AXIS = {
  axisLabel: { color: TEXT, fontSize: 12 },
  axisLine: { lineStyle: { color: FAINT } },
  splitLine: { lineStyle: { color: FAINT, opacity: 0.35 } },
  nameTextStyle: { color: TEXT, fontSize: 12 },
};

/** Bars in the order of the table, with their spread, and a line for each limit. */
export function barChart({ unit, rows }: Table): string {
  const bars = rows.filter(({ isLimit }) => isLimit !== true);
  const limits = rows.filter(({ isLimit }) => isLimit === true);
  const all = rows.flatMap(({ values }) => values);
  const option: Option = {
    ...STYLE,
    grid: { left: NAMES, right: 80, top: 12 + 18 * limits.length, bottom: 46 },
    xAxis: {
      type: 'value',
      name: unit,
      nameLocation: 'middle',
      nameGap: 26,
      min: 0,
      ...ticks(Math.max(...all)),
      ...AXIS,
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ name }) => name),
      ...AXIS,
      axisLabel: { ...AXIS.axisLabel, width: NAMES - 20, overflow: 'break' },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'bar',
        barWidth: 22,
        data: bars.map(({ values }, i) => ({
          value: median(values),
          itemStyle: { color: i === 0 ? PALETTE[0] : OTHERS },
        })),
        markLine: {
          symbol: 'none',
          silent: true,
          data: limits.map(({ name, values }, i) => ({
            xAxis: median(values),
            lineStyle: { color: LIMIT, type: 'dashed', width: 2 },
            label: {
              formatter: `limit: ${name}, ${figure(median(values))}`,
              // The names go down: the line begins above the first.
              position: 'start',
              align: 'right',
              color: LIMIT,
              fontSize: 12,
              distance: [0, 4 + 17 * i],
            },
          })),
        },
      },
      whiskers(bars.map(({ values }) => values)),
    ],
  };
  return render(option, AROUND + BAR * bars.length + 18 * limits.length);
}

/** Lowest to highest, over the bars, and the median beside both. */
function whiskers(spreads: readonly (readonly number[])[]): object {
  const medians = spreads.map((values) => figure(median(values)));
  return {
    type: 'custom',
    silent: true,
    z: 5,
    data: spreads.map((values, i) => [i, Math.min(...values), Math.max(...values)]),
    encode: { x: [1, 2], y: 0 },
    renderItem: (
      _: unknown,
      api: { value: (i: number) => number; coord: (at: [number, number]) => [number, number] },
    ) => {
      const [left, y] = api.coord([api.value(1), api.value(0)]);
      const [right] = api.coord([api.value(2), api.value(0)]);
      const line = (x1: number, y1: number, x2: number, y2: number): object => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style: { stroke: TEXT, lineWidth: 1.5 },
      });
      const children = [
        line(left, y, right, y),
        line(left, y - 4, left, y + 4),
        line(right, y - 4, right, y + 4),
        {
          type: 'text',
          x: right + 10,
          y,
          style: { text: medians[api.value(0)], fill: TEXT, fontSize: 12, verticalAlign: 'middle' },
        },
      ];
      return { type: 'group', children };
    },
  };
}

/** Lines over the size, both logarithmic: their slope is the exponent. */
export function growthChart({ of, unit, series }: Growth): string {
  const option: Option = {
    ...STYLE,
    color: PALETTE,
    legend: {
      orient: 'vertical',
      bottom: 0,
      left: 0,
      icon: 'roundRect',
      itemGap: LEGEND - 14,
      textStyle: { color: TEXT, fontSize: 12, lineHeight: 14 },
    },
    grid: { left: 60, right: 80, top: 36, bottom: 60 + LEGEND * series.length },
    xAxis: {
      type: 'log',
      name: of,
      nameLocation: 'middle',
      nameGap: 26,
      ...logarithmic(series.flatMap(({ points }) => points.map(({ size }) => size))),
    },
    yAxis: {
      type: 'log',
      ...logarithmic(series.flatMap(({ points }) => points.map(({ values }) => median(values)))),
      name: unit,
      nameLocation: 'end',
      nameTextStyle: { ...AXIS.nameTextStyle, align: 'left' },
    },
    series: series.map(({ name, points }) => {
      const costs = points.map(({ size, values }) => ({ size, cost: median(values) }));
      return {
        type: 'line',
        name: `${name} (exponent ${exponentOf(costs).toFixed(2)})`,
        symbol: 'circle',
        symbolSize: 8,
        lineStyle: { width: 2.5 },
        endLabel: {
          show: true,
          color: TEXT,
          formatter: ({ value }: { value: readonly number[] }) => figure(value[1] ?? NaN),
        },
        labelLayout: { moveOverlap: 'shiftY' },
        data: costs.map(({ size, cost }) => [size, cost]),
      };
    }),
  };
  return render(option, GROWTH_HEIGHT + LEGEND * series.length);
}

/** Of a logarithmic axis: its ends (whole powers of ten would leave most of it empty), and its labels. */
function logarithmic(values: readonly number[]): object {
  const positive = values.filter((value) => value > 0);
  const [min, max] = [Math.min(...positive) / 1.5, Math.max(...positive) * 1.5];
  // The ends are no round numbers: they are named only where few others would be.
  const showEnds = max / min < FEW_POWERS;
  const labels = { formatter: short, showMinLabel: showEnds, showMaxLabel: showEnds };
  return { ...AXIS, min, max, axisLabel: { ...AXIS.axisLabel, ...labels } };
}

/** Where an axis from 0 ends, and every how much there is a line: about five of them, of round numbers. */
function ticks(most: number): { max: number; interval: number } {
  const rough = (most * 1.05) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = power * ([1, 2, 5, 10].find((step) => step * power >= rough) ?? 10);
  return { max: Math.ceil((most * 1.05) / interval) * interval, interval };
}

/** 1500000 as 1.5M. */
function short(value: number): string {
  for (const [unit, name] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (value >= unit) return `${Number((value / unit).toPrecision(2))}${name}`;
  }
  return String(Number(value.toPrecision(2)));
}

function render(option: Option, height: number): string {
  const chart = echarts.init(null, undefined, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return inInk(svg);
}

/** The colours of text become those of the page. */
function inInk(svg: string): string {
  let text = svg;
  for (const [from, to] of INK) text = text.replaceAll(from, to);
  return text;
}
