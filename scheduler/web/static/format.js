// Numbers and times in words that people read.

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export function gpus(amount) {
  return amount.toLocaleString("en", { maximumFractionDigits: amount >= 100 ? 1 : 2 });
}

// In a column, where the points of the decimals should line up.
export function aligned(amount) {
  const digits = amount >= 100 ? 1 : 2;
  return amount.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

// Above 0 the tenant was served too little.
export function balance(lag) {
  if (Math.abs(lag) < 0.5) return "even";
  return lag > 0 ? `owed ${gpuTime(lag)}` : `ahead by ${gpuTime(-lag)}`;
}

function gpuTime(amount) {
  if (amount < 3600) return `${Math.round(amount).toLocaleString("en")} GPU-s`;
  return `${(amount / 3600).toLocaleString("en", { maximumFractionDigits: 1 })} GPU-h`;
}

export const memory = (mib) => (mib < 1024 ? `${mib} MiB` : `${(mib / 1024).toFixed(1)} GiB`);
