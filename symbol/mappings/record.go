// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// recordHeader is the size of struct perf_event_header.
const recordHeader = 8

// rawRecord is what the kernel says in a record of the side-band. The slice name lies in the buffer of the ring, so it is valid only until
// the next record is read.
type rawRecord struct {
	time uint64 // nanoseconds since boot
	kind recordKind

	pid, tid uint32
	parent   uint32 // of a fork

	lo, hi, offset uint64 // of a mapping
	file           fileKey
	generation     uint64
	name           []byte

	lost uint64
}

type recordKind uint8

const (
	recordOther recordKind = iota // something that says nothing about mappings
	recordMap
	recordExec
	recordFork // of a process or of a thread
	recordExit // of a thread
	recordLost
)

// parseRecord reads a whole record whose last 8 bytes are its time, which is so for all records of an event with sample_id_all and
// PERF_SAMPLE_TIME alone. It returns false if the record is too short for its type or makes no sense.
func parseRecord(b []byte, r *rawRecord) bool {
	if len(b) < recordHeader+8 {
		return false
	}
	order := binary.NativeEndian
	kind, misc := order.Uint32(b), order.Uint16(b[4:])
	body := b[recordHeader : len(b)-8]
	*r = rawRecord{time: order.Uint64(b[len(b)-8:])}
	switch kind {
	case unix.PERF_RECORD_MMAP2:
		return misc&unix.PERF_RECORD_MISC_MMAP_BUILD_ID == 0 && parseMap(body, r)
	case unix.PERF_RECORD_COMM:
		if len(body) < 8 {
			return false
		}
		r.pid, r.tid = order.Uint32(body), order.Uint32(body[4:])
		if misc&unix.PERF_RECORD_MISC_COMM_EXEC != 0 {
			r.kind = recordExec
		}
	case unix.PERF_RECORD_FORK, unix.PERF_RECORD_EXIT:
		if len(body) < 16 {
			return false
		}
		r.pid, r.parent, r.tid = order.Uint32(body), order.Uint32(body[4:]), order.Uint32(body[8:])
		r.kind = recordFork
		if kind == unix.PERF_RECORD_EXIT {
			r.kind = recordExit
		}
	case unix.PERF_RECORD_LOST:
		if len(body) < 16 {
			return false
		}
		r.kind, r.lost = recordLost, order.Uint64(body[8:])
	}
	return true
}

// parseMap reads the body of a PERF_RECORD_MMAP2.
func parseMap(body []byte, r *rawRecord) bool {
	const fixed = 64 // all that precedes the name
	if len(body) < fixed {
		return false
	}
	order := binary.NativeEndian
	r.kind = recordMap
	r.pid, r.tid = order.Uint32(body), order.Uint32(body[4:])
	r.lo, r.offset = order.Uint64(body[8:]), order.Uint64(body[24:])
	size := order.Uint64(body[16:])
	r.hi = r.lo + size
	r.file = fileKey{major: order.Uint32(body[32:]), minor: order.Uint32(body[36:]), inode: order.Uint64(body[40:])}
	r.generation = order.Uint64(body[48:])
	r.name = body[fixed:]
	if end := bytes.IndexByte(r.name, 0); end >= 0 {
		r.name = r.name[:end]
	}
	return size != 0 && r.hi > r.lo
}
