"""The spectrum on the graphics card: Chromium's WebGPU in software, against the CPU reference."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, answer, talk, tone

pytestmark = pytest.mark.browser

WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)
COMPARE = """async () => {
  const { GpuLogMel } = await import("/src/gpu-log-mel.js");
  const { FFT_SAMPLES, LogMel } = await import("/src/log-mel.js");
  const rateHz = 48000;
  const gpu = await GpuLogMel.create(rateHz, 2);
  if (!gpu) return null;
  const cpu = new LogMel(rateHz);
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const made = (value) => Float32Array.from({ length: FFT_SAMPLES }, (_, i) => value(i));
  const sounds = [
    made(() => 0),
    made(() => 2 * random() - 1),
    made(() => 1e-3 * (2 * random() - 1)),
    made((i) => 0.9 * Math.sin(i / 7)),
    made((i) => Math.sin(i / 3) * Math.exp(-i / 200) + 0.1 * Math.sin(i * 0.9)),
    made((i) => (i === 512 ? 1 : 0)),
  ];
  let worst = 0;
  for (let i = 0; i < sounds.length; i += 2) {
    const pair = [sounds[i], sounds[i + 1]];
    const results = await gpu.analyse(pair);
    results.forEach((result, voice) => {
      cpu.analyse(pair[voice]).forEach((value, band) => {
        worst = Math.max(worst, Math.abs(value - result[band]));
      });
    });
  }
  gpu.close();
  return worst;
}"""
PIXELS = """() => {
    const canvas = document.querySelector("#spectrogram");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, i) => i % 4 === 3 && value > 40).length;
}"""


async def test_the_shader_equals_the_reference_and_draws(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, flags=WEBGPU)
    worst = await page.evaluate(COMPARE)
    if worst is None:
        pytest.skip("this Chromium has no software WebGPU")
    assert 0 <= worst < 1e-3
    await talk(page, gateway)
    await page.get_by_role("button", name="Details").click()
    await page.locator("#spectrogram").scroll_into_view_if_needed()
    await expect(page.get_by_text("Made with WebGPU.")).to_be_visible()
    await answer(gateway, 1, "La")
    await gateway.send_audio(1, tone(2))
    await until(page, f"({PIXELS})() > 200")


async def test_without_webgpu_the_audio_graph_makes_it(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await page.get_by_role("button", name="Details").click()
    await page.locator("#spectrogram").scroll_into_view_if_needed()
    await expect(page.get_by_text("Made with AnalyserNode.")).to_be_visible()
