/** How sure it is that one hour of the week is the best: the best of many samples is often lucky. */

const WEIGHTS = { emails_opened: 0.3, emails_clicked: 0.4, emails_replied: 0.3 };
/** Of the standard normal distribution at 97.5 %. */
export const QUANTILE = 1.959963984540054;
/** The p-value below which a difference is sure. */
const SURE = 0.05;

/**
 * An hour's mean score, from 0 to 1, and its variance. Each count has a success and a failure more (Agresti and Caffo):
 * three messages that were all opened are no certainty. Opens, clicks and replies are taken to be of the same messages as
 * far as they can, for then scores vary most.
 */
function estimate(hour) {
  const n = hour.emails_sent + 2;
  const parts = Object.entries(WEIGHTS).map(([field, weight]) => ({ weight, part: (hour[field] + 1) / n }));
  parts.sort((a, b) => b.part - a.part);
  let [mean, square, reached] = [0, 0, 0];
  parts.forEach(({ weight, part }, at) => {
    reached += weight;
    mean += weight * part;
    square += reached ** 2 * (part - (parts[at + 1]?.part ?? 0));
  });
  return { mean, variance: Math.max(0, square - mean ** 2) / n };
}

/** Between which points an hour's true score is, with 95 % certainty: of few messages it lies beside the one that was counted. */
export function range(hour) {
  const { mean, variance } = estimate(hour);
  const reach = QUANTILE * Math.sqrt(variance);
  return [Math.max(mean - reach, 0) * 100, Math.min(mean + reach, 1) * 100];
}

/** The two-sided p-value of a z (Abramowitz and Stegun 7.1.26: within 2e-7). */
export function chanceOf(z) {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const sum = 0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)));
  return t * sum * Math.exp(-(x ** 2));
}

/** The hours of which it is not sure that they are worse than the best, by score: z-tests, corrected for their number (Holm). */
export function rivals(best, hours) {
  const one = estimate(best);
  const tested = hours
    .filter((hour) => hour.compared && hour !== best)
    .map((hour) => {
      const { mean, variance } = estimate(hour);
      return { hour, chance: chanceOf((one.mean - mean) / Math.sqrt(one.variance + variance)) };
    })
    .sort((a, b) => a.chance - b.chance);
  const first = tested.findIndex(({ chance }, at) => chance * (tested.length - at) >= SURE);
  const found = first < 0 ? [] : tested.slice(first).map(({ hour }) => hour);
  return found.sort((a, b) => b.engagement_score - a.engagement_score);
}
