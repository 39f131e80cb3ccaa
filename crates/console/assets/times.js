// Moments stand on pages in UTC, each in a `time` that the server made. Here they are said in the reader's zone, in the same form; the style keeps
// the room of the widest zone, so that nothing moves. What people typed is left as it is, whatever it looks like, and so is what is exact: records, files, fields.

const part = (parts, type) => parts.find((one) => one.type === type)?.value ?? '';
const zoned = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZoneName: 'short',
});

export function said(at) {
  const parts = zoned.formatToParts(at);
  const [year, month, day, hour, minute, zone] = ['year', 'month', 'day', 'hour', 'minute', 'timeZoneName'].map((type) => part(parts, type));
  return `${year}-${month}-${day} ${hour}:${minute} ${zone}`;
}

for (const time of document.querySelectorAll('time[datetime]')) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.title = time.textContent;
    time.textContent = said(at);
  }
}
