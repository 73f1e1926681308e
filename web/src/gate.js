// @ts-check
/**
 * Whether a chunk of the microphone holds more than the room's own noise. Two signs: it is louder than
 * the floor, or a little louder and of another colour (the correlation of neighbouring samples: near
 * one for vowels, near zero for hiss). It would rather send noise than lose a word: what is speech is
 * decided in the server. Pure, allocates nothing.
 */

const LOUDER_DB = 6;
/** With another colour this is enough. */
const AUDIBLE_DB = 3;
const OTHER_COLOUR = 0.25;
/** A voice near by is so much louder than the room, and of the colour of vowels. */
const VOICE_DB = 15;
const VOICE_COLOUR = 0.5;
/** Nobody speaks below the lower one; above the upper one everything is sent. */
const FLOOR_MIN_DB = -75;
const FLOOR_MAX_DB = -35;
/** A held vowel must not pass for noise, so the floor rises slowly; it falls at once. */
const RISE_DB_PER_CHUNK = 0.06;
/** The floor is the least level of the last one or two such spans. */
const SPAN_CHUNKS = 75;
/** Until the room is known everything is sent. */
const LEARN_CHUNKS = 50;

export class Gate {
  #chunks = 0;
  #level = 0;
  #floorDb = FLOOR_MIN_DB;
  #least = 0;
  #leastBefore = 0;
  #colour = 0;
  /** The chunk heard last sounds like a voice near by. */
  voiced = false;

  /** The room's noise, in decibels of full scale. */
  get floorDb() {
    return this.#floorDb;
  }

  /**
   * @param {number} meanSquare of the chunk's samples in -1..1
   * @param {number} correlation of neighbouring samples, -1..1
   * @returns {boolean} whether something is heard
   */
  hears(meanSquare, correlation) {
    const levelDb = 10 * Math.log10(meanSquare + 1e-10);
    this.#follow(levelDb);
    const aboveDb = levelDb - this.#floorDb;
    this.voiced = aboveDb > VOICE_DB && correlation > VOICE_COLOUR;
    if (aboveDb < AUDIBLE_DB) this.#colour += 0.05 * (correlation - this.#colour);
    if (this.#chunks < LEARN_CHUNKS || aboveDb > LOUDER_DB) return true;
    return aboveDb > AUDIBLE_DB && Math.abs(correlation - this.#colour) > OTHER_COLOUR;
  }

  /** @param {number} levelDb */
  #follow(levelDb) {
    if (this.#chunks === 0) this.#level = this.#least = this.#leastBefore = levelDb;
    this.#level += 0.3 * (levelDb - this.#level);
    if (this.#chunks % SPAN_CHUNKS === 0) {
      this.#leastBefore = this.#least;
      this.#least = this.#level;
    }
    this.#chunks++;
    this.#least = Math.min(this.#least, this.#level);
    const leastDb = Math.min(this.#least, this.#leastBefore);
    const risenDb = this.#chunks === 1 ? leastDb : this.#floorDb + RISE_DB_PER_CHUNK;
    this.#floorDb = Math.min(FLOOR_MAX_DB, Math.max(FLOOR_MIN_DB, Math.min(leastDb, risenDb)));
  }
}
