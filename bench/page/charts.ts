/** Charts of reports, as SVG that stands alone. Colours are the page's, so that it can be dark. */
import * as echarts from 'echarts';
import type { Growth, Table } from '../common/report.js';
import { exponentOf } from '../common/growth.js';
import { figure } from '../common/format.js';
import { median } from '../common/statistics.js';

const WIDTH = 860;
/** Height of a bar with its room, and of what is around them. */
const BAR = 44;
const AROUND = 70;
const GROWTH_HEIGHT = 400;

/** One hue for ours, in all charts; and colours that differ in light and dark, and for those who see fewer. */
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

/** Bars from the best to ... as in the table, with their spread, and a line for each limit. */
export function barChart({ unit, rows }: Table): string {
  const bars = rows.filter(({ isLimit }) => isLimit !== true);
  const limits = rows.filter(({ isLimit }) => isLimit === true);
  const all = rows.flatMap(({ values }) => values);
  const option: Option = {
    ...STYLE,
    grid: {
      left: 10,
      right: 90,
      top: limits.length > 0 ? 16 + 18 * limits.length : 10,
      bottom: 40,
      containLabel: true,
    },
    xAxis: {
      type: 'value',
      name: unit,
      nameLocation: 'middle',
      nameGap: 26,
      min: 0,
      max: niceAbove(Math.max(...all)),
      ...AXIS,
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ name }) => name),
      ...AXIS,
      axisLabel: { ...AXIS.axisLabel, width: 250, overflow: 'break' },
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
        label: {
          show: true,
          position: 'right',
          color: TEXT,
          distance: 10,
          formatter: ({ value }: { value: number }) => figure(value),
        },
        markLine: {
          symbol: 'none',
          silent: true,
          data: limits.map(({ name, values }, i) => ({
            xAxis: median(values),
            lineStyle: { color: LIMIT, type: 'dashed', width: 2 },
            label: {
              formatter: `limit: ${name}, ${figure(median(values))}`,
              position: 'end',
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

/** Lowest to highest, over the bars. */
function whiskers(spreads: readonly (readonly number[])[]): object {
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
    legend: { bottom: 0, left: 0, textStyle: { color: TEXT, fontSize: 12 }, icon: 'roundRect' },
    grid: {
      left: 10,
      right: 40,
      top: 36,
      bottom: 46 + 22 * Math.ceil(series.length / 2),
      containLabel: true,
    },
    xAxis: {
      type: 'log',
      name: of,
      nameLocation: 'middle',
      nameGap: 26,
      ...span(series.flatMap(({ points }) => points.map(({ size }) => size))),
      ...AXIS,
      axisLabel: { ...AXIS.axisLabel, formatter: short },
    },
    yAxis: {
      type: 'log',
      name: unit,
      nameLocation: 'end',
      nameTextStyle: { ...AXIS.nameTextStyle, align: 'left' },
      ...span(series.flatMap(({ points }) => points.map(({ values }) => median(values)))),
      axisLabel: { ...AXIS.axisLabel, formatter: short },
      axisLine: AXIS.axisLine,
      splitLine: AXIS.splitLine,
    },
    series: series.map(({ name, points }) => {
      const costs = points.map(({ size, values }) => ({ size, cost: median(values) }));
      return {
        type: 'line',
        name: `${name} (exponent ${exponentOf(costs).toFixed(2)})`,
        symbolSize: 8,
        lineStyle: { width: 2.5 },
        data: costs.map(({ size, cost }) => [size, cost]),
      };
    }),
  };
  return render(option, GROWTH_HEIGHT + 22 * Math.ceil(series.length / 2));
}

/** Ends of a logarithmic axis: whole powers of ten would leave most of it empty. */
function span(values: readonly number[]): { min: number; max: number } {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  return { min: low / 1.5, max: high * 1.5 };
}

function niceAbove(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value)) / 2;
  return Math.ceil((value * 1.08) / step) * step;
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
