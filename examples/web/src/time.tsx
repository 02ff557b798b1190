const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function Time({ value }: { value: string }) {
  return <time className="meta" dateTime={value}>{FORMAT.format(new Date(value))}</time>;
}
