// Decode a JPEG by libjpeg-turbo, reduced, with the settings that Pillow gives it, so that the pixels are the same.
//
// It is a module of its own, `jpeg.wasm`. An instance decodes one picture: after an error, which stops it, only
// `problem` and `is_cut_off` may be called.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "jpeglib.h"
#include "jversion.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define MAX_SCANNED 2e9  // pixels that all scans may go through; a hostile picture has thousands of scans

static const char *const MESSAGES[] = {
#define JMESSAGE(code, text) text,
#include "jerror.h"
};

static struct jpeg_decompress_struct jpeg;
static struct jpeg_error_mgr errors;
static struct jpeg_source_mgr source;
static struct jpeg_progress_mgr progress;
static char message[JMSG_LENGTH_MAX];
static int cut_off;

static _Noreturn void stop(j_common_ptr any) {
    const int *values = any->err->msg_parm.i;
    snprintf(message, sizeof message, MESSAGES[any->err->msg_code], values[0], values[1], values[2], values[3]);
    __builtin_trap();
}

static _Noreturn void stop_with(const char *text) {
    snprintf(message, sizeof message, "%s", text);
    __builtin_trap();
}

static void warn(j_common_ptr any, int level) { (void)any, (void)level; }  // Pillow takes damage for pixels, too

static void reset_errors(j_common_ptr any) { (void)any; }

static void begin_source(j_decompress_ptr any) { (void)any; }

static boolean need_more(j_decompress_ptr any) {
    (void)any;
    cut_off = 1;
    stop_with("image file is truncated");
}

static void skip(j_decompress_ptr any, long bytes) {
    if (bytes <= 0) return;
    if ((size_t)bytes > source.bytes_in_buffer) need_more(any);
    source.next_input_byte += bytes;
    source.bytes_in_buffer -= (size_t)bytes;
}

static void check_scans(j_common_ptr any) {
    (void)any;
    if ((double)jpeg.input_scan_number * jpeg.image_width * jpeg.image_height > MAX_SCANNED) stop_with("too many scans");
}

EXPORT(allocate) void *allocate(size_t bytes) { return malloc(bytes); }

EXPORT(problem) const char *problem(void) { return message; }

EXPORT(is_cut_off) int is_cut_off(void) { return cut_off; }

EXPORT(width) int width(void) { return (int)jpeg.output_width; }

EXPORT(height) int height(void) { return (int)jpeg.output_height; }

// Read the header of a file; `width` and `height` are then those of the whole picture.
EXPORT(open) void open_file(const uint8_t *file, size_t bytes) {
    errors = (struct jpeg_error_mgr){.error_exit = stop, .emit_message = warn, .reset_error_mgr = reset_errors};
    jpeg.err = &errors;
    jpeg_create_decompress(&jpeg);
    source = (struct jpeg_source_mgr){file, bytes, begin_source, need_more, skip, jpeg_resync_to_restart, begin_source};
    jpeg.src = &source;
    progress.progress_monitor = check_scans;
    jpeg.progress = &progress;
    jpeg_read_header(&jpeg, TRUE);
    if (jpeg.num_components == 2) stop_with("cannot handle 2-layer images");
    jpeg.output_width = jpeg.image_width;
    jpeg.output_height = jpeg.image_height;
}

// Return a row in RGB; `inks` are those of a row in CMYK as Adobe stores it, inverted.
static void mix(const uint8_t *inks, uint8_t *rgb, size_t columns) {
    for (size_t x = 0; x < columns; x++, inks += 4, rgb += 3) {
        for (int c = 0; c < 3; c++) {
            int product = (255 - inks[c]) * inks[3] + 128;  // rounded as in Pillow
            rgb[c] = (uint8_t)(inks[3] - (((product >> 8) + product) >> 8));
        }
    }
}

// Decode the picture with sides reduced by 1, 2, 4 or 8; return its pixels, RGB, row after row, or null without memory.
EXPORT(decode) uint8_t *decode(int reduction) {
    int is_grey = jpeg.num_components == 1, has_inks = jpeg.num_components == 4;
    jpeg.out_color_space = has_inks ? JCS_CMYK : is_grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg.scale_num = 1;
    jpeg.scale_denom = (unsigned)reduction;
    jpeg_start_decompress(&jpeg);
    size_t columns = jpeg.output_width, rows = jpeg.output_height;
    uint8_t *pixels = malloc(columns * rows * 3), *line = malloc(columns * 4);
    if (!pixels || !line) return NULL;
    while (jpeg.output_scanline < rows) {
        uint8_t *to = pixels + columns * 3 * jpeg.output_scanline, *row = has_inks || is_grey ? line : to;
        if (!jpeg_read_scanlines(&jpeg, &row, 1)) need_more(&jpeg);
        if (has_inks) mix(line, to, columns);
        for (size_t x = 0; is_grey && x < columns; x++) to[3 * x] = to[3 * x + 1] = to[3 * x + 2] = line[x];
    }
    jpeg_finish_decompress(&jpeg);
    return pixels;
}
