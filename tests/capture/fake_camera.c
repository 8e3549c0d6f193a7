// A camera that is not there: /dev/video9 as the kernel's own header describes one, for tests to put in front of the C
// library. It gives the JPEG that FAKE_CAMERA names, or FAKE_FOURCC pixels, fifty times a second, and after FAKE_FRAMES
// frames it is pulled out: ENODEV, and for half a second no such file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 8, SIZE = 1 << 20 };
static int camera = -1, queued[BUFFERS], count, streaming, frames;
static struct v4l2_pix_format format;
static double gone_until, next_frame;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int refuse(int code) {
    errno = code;
    return -1;
}

static int opened(const char *path) {
    if (strcmp(path, "/dev/video9")) return -2;
    if (now() < gone_until) return refuse(ENOENT);
    if (camera >= 0) return refuse(EBUSY);
    frames = streaming = count = 0;
    camera = memfd_create("camera", MFD_CLOEXEC);
    return ftruncate(camera, (off_t)BUFFERS * SIZE) ? -1 : camera;
}

int open64(const char *path, int flags, ...) {
    int fd = opened(path);
    if (fd != -2) return fd;
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
    va_end(list);
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    return real(path, flags, mode);
}

int close(int fd) {
    if (fd == camera) camera = -1;
    return ((int (*)(int))dlsym(RTLD_NEXT, "close"))(fd);
}

static int dequeue(struct v4l2_buffer *buffer) {
    const char *limit = getenv("FAKE_FRAMES");
    if (limit && frames >= atoi(limit)) {
        gone_until = now() + 0.5;
        return refuse(ENODEV);
    }
    int index = 0;
    while (index < count && !queued[index]) index++;
    if (!streaming || index == count) return refuse(EINVAL);
    while (now() < next_frame) usleep(1000);
    next_frame = now() + 0.02;
    char *place = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, camera, (off_t)index * SIZE);
    if (format.pixelformat == V4L2_PIX_FMT_MJPEG) {
        FILE *file = fopen(getenv("FAKE_CAMERA"), "rb");
        buffer->bytesused = (unsigned)fread(place, 1, SIZE, file);
        fclose(file);
    } else {
        memset(place, 128, format.sizeimage);
        buffer->bytesused = format.sizeimage;
    }
    munmap(place, SIZE);
    queued[index] = 0;
    buffer->index = (unsigned)index;
    buffer->sequence = (unsigned)frames++;
    return 0;
}

static int answered(unsigned long request, void *argument) {
    unsigned fourcc = getenv("FAKE_FOURCC") ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_MJPEG;
    struct v4l2_buffer *buffer = argument;
    switch ((unsigned)request) {
    case (unsigned)VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->driver, "fake");
        strcpy((char *)capability->card, "Fake Camera");
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case (unsigned)VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *description = argument;
        if (description->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || description->index) return refuse(EINVAL);
        description->pixelformat = fourcc;
        return 0;
    }
    case (unsigned)VIDIOC_S_FMT:
    case (unsigned)VIDIOC_TRY_FMT:
    case (unsigned)VIDIOC_G_FMT: {
        struct v4l2_format *given = argument;
        if (given->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return refuse(EINVAL);
        format.width = 640;
        format.height = 480;
        format.pixelformat = fourcc;
        format.bytesperline = fourcc == V4L2_PIX_FMT_YUYV ? 1344 : 0;
        format.sizeimage = fourcc == V4L2_PIX_FMT_YUYV ? 1344 * 480 : SIZE;
        given->fmt.pix = format;
        return 0;
    }
    case (unsigned)VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->memory != V4L2_MEMORY_MMAP) return refuse(EINVAL);
        count = (int)(wanted->count = wanted->count > BUFFERS ? BUFFERS : wanted->count);
        memset(queued, 0, sizeof queued);
        return 0;
    }
    case (unsigned)VIDIOC_QUERYBUF:
        if (buffer->index >= (unsigned)count) return refuse(EINVAL);
        buffer->length = SIZE;
        buffer->m.offset = buffer->index * SIZE;
        return 0;
    case (unsigned)VIDIOC_QBUF:
        if (buffer->index >= (unsigned)count) return refuse(EINVAL);
        queued[buffer->index] = 1;
        return 0;
    case (unsigned)VIDIOC_DQBUF:
        return dequeue(buffer);
    case (unsigned)VIDIOC_STREAMON:
    case (unsigned)VIDIOC_STREAMOFF:
        streaming = (unsigned)request == (unsigned)VIDIOC_STREAMON;
        return 0;
    default:
        return refuse(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (fd == camera && fd >= 0) return answered(request, argument);
    return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(fd, request, argument);
}
