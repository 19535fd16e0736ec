// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Version is the version of the format that a Writer writes, and the newest that a Reader reads. A Reader
// also reads all older versions.
const Version = 2

// magic begins every recording. Its first byte is not ASCII and its last two bytes are CR and LF, so
// that a reader recognizes text, and recordings damaged by a conversion of line ends.
const magic = "\x89GIZMO\r\n"

// preambleSize is the size of what precedes the first frame: the magic and the version.
const preambleSize = len(magic) + 1

// The limits of what a reader accepts; a writer keeps them.
const (
	maxFrame     = 64 << 20 // bytes of payload
	maxHeader    = 2 << 20  // bytes of payload of the header
	maxRow       = 16 << 20 // bytes of a row
	maxBatchData = 48 << 20 // bytes of a batch's rows, restored
	maxBatchRows = 1 << 20
	maxLosses    = 1 << 16 // of one batch
	maxCPUs      = 1 << 16
	maxSources   = 1 << 10
	maxFields    = 1 << 12 // of one data source, added ones included
	maxAllFields = 1 << 17 // of all data sources
	maxGadgets   = 1 << 10
	maxColumns   = 32        // of one data source
	maxHandles   = 2 << 20   // of one batch
	maxEntry     = 256 << 10 // cost of the values of one handle: see costOfHandle
	maxValues    = 16 << 20  // cost of all values between two restarts
	maxFacts     = 16        // that have different names
	maxFact      = 1 << 20   // bytes of a fact's value
	maxLines     = 4 << 20   // the cost of all lines of source
)

// maxSmall is the size of the largest payload that a reader keeps in memory. Only batches, dictionaries, and frames of unknown types
// have larger ones.
const maxSmall = 2 << 20

// keptGenerations is for how many restarts a Reader keeps a value.
const keptGenerations = 2

// The types of frames. A reader skips a frame of a type that it does not know if skippable is set.
const (
	frameHeader     = 'H'
	frameBatch      = 'B'
	frameClock      = 'C'
	frameDictionary = 'D'
	frameRestart    = 'R'
	frameStep       = 'c'
	frameFact       = 'f'
	frameStacks     = 's'
	frameLines      = 'l'
	frameEnd        = 'E'

	skippable = 0x20
)

// stepSize is the size of a step's payload.
const stepSize = 16

// checksumSize is the size of the checksum after each payload.
const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The errors that NewReader and Next wrap. All but ErrNotRecording come with the place of the damage and
// the part of the recording that was being read.
var (
	// ErrNotRecording: the input does not begin like a recording.
	ErrNotRecording = errors.New("not a gizmo recording")
	// ErrNewer: the recording needs a newer gizmo.
	ErrNewer = errors.New("the recording was written by a newer gizmo")
	// ErrTruncated: the recording stops before its end. Everything that Next returned before is valid.
	ErrTruncated = errors.New("the recording is cut short")
	// ErrCorrupt: the recording is damaged. Everything that Next returned before is valid; nothing after the
	// damage is read.
	ErrCorrupt = errors.New("the recording is damaged")
)

// isKnown reports whether this version has frames of the type.
func isKnown(kind byte) bool {
	switch kind {
	case frameHeader, frameBatch, frameClock, frameStep, frameDictionary, frameRestart, frameFact, frameStacks, frameLines, frameEnd:
		return true
	}
	return false
}

// frameName names a type of frames in errors.
func frameName(kind byte) string {
	switch kind {
	case frameHeader:
		return "the header"
	case frameBatch:
		return "a batch"
	case frameClock:
		return "a change of the clock"
	case frameStep:
		return "a step of the clock"
	case frameDictionary:
		return "a dictionary"
	case frameRestart:
		return "a restart of the dictionaries"
	case frameFact:
		return "a fact"
	case frameStacks:
		return "stacks"
	case frameLines:
		return "lines of source"
	case frameEnd:
		return "the end frame"
	}
	return fmt.Sprintf("a frame of type %#02x", kind)
}
