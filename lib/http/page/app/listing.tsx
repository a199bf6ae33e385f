/** A list with its order, and the file of it that is looked at. */
import type { ComponentChildren, JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { sorted, type Item, type Order } from './item.js';
import { Rows } from './rows.js';
import { Viewer } from './viewer.js';

interface Props {
  readonly items: readonly Item[];
  readonly order: Order;
  /** The key of the file that is looked at. */
  readonly shown: string;
  readonly more?: boolean;
  readonly onEnd?: () => void;
}

export function Listing({ items, order, shown, more = false, onEnd }: Props): JSX.Element {
  const inOrder = useMemo(() => sorted(items, order), [items, order]);
  const files = useMemo(() => inOrder.filter(({ kind }) => kind !== 'folder'), [inOrder]);
  const at = shown === '' ? -1 : files.findIndex(({ key }) => key === shown);
  const item = files[at];
  return (
    <>
      <Rows items={inOrder} more={more} {...(onEnd === undefined ? {} : { onEnd })} />
      {item !== undefined && <Viewer {...{ item, previous: files[at - 1], next: files[at + 1] }} />}
    </>
  );
}

interface OrdersProps {
  readonly of: Partial<Record<Order, string>>;
  readonly now: Order;
  readonly onOrder: (order: Order) => void;
  readonly children?: ComponentChildren;
}

export function Orders({ of, now, onOrder }: OrdersProps): JSX.Element {
  return (
    <label class="orders">
      <span>Order</span>{' '}
      <select
        value={now}
        onChange={({ currentTarget }) => {
          onOrder(currentTarget.value as Order);
        }}
      >
        {Object.entries(of).map(([order, label]) => (
          <option key={order} value={order}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
