// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng

import "encoding/binary"

// The types of blocks.
const (
	sectionHeader  = 0x0A0D0D0A
	interfaceBlock = 1
	packetBlock    = 6
)

// The codes of options. Those from 2 on depend on the block.
const (
	endOfOptions    = 0
	optComment      = 1
	optApplication  = 4 // section header
	optName         = 2 // interface
	optResolution   = 9
	optPacketFlags  = 2 // packet
	optPacketsLost  = 4
	nanoseconds     = 9          // of optResolution: units of 10 to the power of -9 s
	byteOrderMagic  = 0x1A2B3C4D // in the byte order of all numbers of the section
	unknownLength   = 1<<64 - 1  // of a section
	blockOverhead   = 12         // type, length, length again
	versionOfFormat = 1          // major 1, minor 0
)

// beginBlock appends the type of a block and room for its length.
func beginBlock(dst []byte, kind uint32) (out []byte, start int) {
	start = len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, kind)
	return binary.LittleEndian.AppendUint32(dst, 0), start
}

// endBlock appends the length of the block that began at start, and writes it to the block's beginning.
func endBlock(dst []byte, start int) []byte {
	length := uint32(len(dst) - start + 4)
	binary.LittleEndian.PutUint32(dst[start+4:], length)
	return binary.LittleEndian.AppendUint32(dst, length)
}

// appendOption appends an option.
func appendOption(dst []byte, code uint16, value []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, code)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(value)))
	return pad(append(dst, value...), len(value))
}

// pad appends what makes n bytes a multiple of 4.
func pad(dst []byte, n int) []byte {
	var zeros [3]byte
	return append(dst, zeros[:-n&3]...)
}

// endOptions appends the end of options.
func endOptions(dst []byte) []byte { return binary.LittleEndian.AppendUint32(dst, endOfOptions) }

// appendSection appends the header of a section.
func appendSection(dst []byte) []byte {
	dst, start := beginBlock(dst, sectionHeader)
	dst = binary.LittleEndian.AppendUint32(dst, byteOrderMagic)
	dst = binary.LittleEndian.AppendUint32(dst, versionOfFormat)
	dst = binary.LittleEndian.AppendUint64(dst, unknownLength)
	dst = appendOption(dst, optApplication, []byte("gizmo"))
	return endBlock(endOptions(dst), start)
}

// appendInterface appends the description of an interface.
func appendInterface(dst []byte, link uint16, name []byte) []byte {
	dst, start := beginBlock(dst, interfaceBlock)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(link))
	dst = binary.LittleEndian.AppendUint32(dst, maxPacket)
	dst = appendOption(dst, optName, name)
	dst = appendOption(dst, optResolution, []byte{nanoseconds})
	return endBlock(endOptions(dst), start)
}
