/* Makes a VP9 stream of two or three spatial layers with libvpx.
 *
 *   cc vp9_svc.c -lvpx -o vp9_svc && ./vp9_svc LAYERS INTER_LAYER WIDTH HEIGHT RESILIENT >out.frames
 *
 * INTER_LAYER: 0 = upper layers always predict from lower ones (L3T1), 2 = in key pictures only (L3T1_KEY).
 * RESILIENT: 1 = error resilient, as libwebrtc sets for layers: each can be decoded without those above it.
 * Writes superframes as the encoder gives them, each behind a 32-bit big-endian length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

enum { FRAMES = 8, KEY_INTERVAL = 4 };

static void paint(vpx_image_t *image, int time) {
  int width = image->d_w, height = image->d_h;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      image->planes[0][y * image->stride[0] + x] = (unsigned char)((x + 2 * y + 5 * time) ^ (x < 96 && y < 48 ? x * y / 8 : 0));
  for (int y = 0; y < height / 2; y++) {
    memset(image->planes[1] + y * image->stride[1], 90 + y, width / 2);
    memset(image->planes[2] + y * image->stride[2], 160 - time, width / 2);
  }
}

static void check(vpx_codec_err_t result, const char *what) {
  if (result == VPX_CODEC_OK) return;
  fprintf(stderr, "%s failed: %s\n", what, vpx_codec_err_to_string(result));
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int layers = atoi(argv[1]), inter_layer = atoi(argv[2]), width = atoi(argv[3]), height = atoi(argv[4]);
  vpx_codec_enc_cfg_t cfg;
  check(vpx_codec_enc_config_default(vpx_codec_vp9_cx(), &cfg, 0), "config");
  cfg.g_w = width, cfg.g_h = height;
  cfg.g_timebase.num = 1, cfg.g_timebase.den = 30;
  cfg.g_lag_in_frames = 0, cfg.g_threads = 1;
  cfg.g_error_resilient = atoi(argv[5]);
  cfg.rc_end_usage = VPX_CBR;
  cfg.rc_target_bitrate = 500;
  cfg.rc_min_quantizer = 48, cfg.rc_max_quantizer = 60;
  cfg.kf_mode = VPX_KF_DISABLED;
  cfg.ss_number_layers = layers, cfg.ts_number_layers = 1;
  cfg.ts_rate_decimator[0] = 1;
  cfg.temporal_layering_mode = VP9E_TEMPORAL_LAYERING_MODE_NOLAYERING;
  for (int i = 0; i < layers; i++) {
    cfg.ss_target_bitrate[i] = cfg.layer_target_bitrate[i] = 500 >> (layers - 1 - i);
  }
  vpx_codec_ctx_t codec;
  check(vpx_codec_enc_init(&codec, vpx_codec_vp9_cx(), &cfg, 0), "init");
  vpx_svc_extra_cfg_t svc;
  memset(&svc, 0, sizeof svc);
  for (int i = 0; i < layers; i++) {
    svc.max_quantizers[i] = 60, svc.min_quantizers[i] = 48;
    svc.scaling_factor_num[i] = 1, svc.scaling_factor_den[i] = 1 << (layers - 1 - i);
    svc.speed_per_layer[i] = 8;
  }
  check(vpx_codec_control(&codec, VP8E_SET_CPUUSED, 8), "speed");
  check(vpx_codec_control(&codec, VP9E_SET_SVC, 1), "svc");
  check(vpx_codec_control(&codec, VP9E_SET_SVC_PARAMETERS, &svc), "svc parameters");
  check(vpx_codec_control(&codec, VP9E_SET_SVC_INTER_LAYER_PRED, inter_layer), "inter-layer prediction");
  vpx_image_t *image = vpx_img_alloc(NULL, VPX_IMG_FMT_I420, width, height, 1);
  for (int time = 0; time < FRAMES; time++) {
    paint(image, time);
    vpx_enc_frame_flags_t flags = time % KEY_INTERVAL ? 0 : VPX_EFLAG_FORCE_KF;
    check(vpx_codec_encode(&codec, image, time, 1, flags, VPX_DL_REALTIME), "encode");
    const vpx_codec_cx_pkt_t *packet;
    vpx_codec_iter_t iter = NULL;
    while ((packet = vpx_codec_get_cx_data(&codec, &iter))) {
      if (packet->kind != VPX_CODEC_CX_FRAME_PKT) continue;
      size_t size = packet->data.frame.sz;
      unsigned char length[4] = {size >> 24, size >> 16, size >> 8, size};
      fwrite(length, 1, 4, stdout);
      fwrite(packet->data.frame.buf, 1, size, stdout);
    }
  }
  vpx_img_free(image);
  vpx_codec_destroy(&codec);
  return 0;
}
