// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import "golang.org/x/net/bpf"

// What frames of 802.3 carry has no type but the number of a service access point.
const (
	sapISO     = 0xfe
	sapSTP     = 0x42
	sapIPX     = 0xe0
	sapNetBEUI = 0xf0

	typeAppleTalk = 0x809b
	typeAARP      = 0x80f3
	typeIPX       = 0x8137
)

// isLength is true for frames of 802.3.
func (g *generator) isLength() *formula {
	return not(compare(bpf.JumpGreaterThan, g.linkType, 2, maxFrame))
}

// llc is true for frames of 802.3 that carry a protocol.
func (g *generator) llc(sap uint32) *formula {
	switch sap {
	case sapISO, 0x06, sapNetBEUI:
		return and(g.isLength(), equal(g.payload, 2, sap<<8|sap))
	case sapIPX:
		raw := or(equal(g.payload, 1, sapIPX), equal(g.payload, 2, 0xffff))
		return or(equal(g.linkType, 2, typeIPX), and(g.isLength(), or(g.inSNAP(0, typeIPX), raw)))
	}
	return and(g.isLength(), equal(g.payload, 1, sap))
}

// snap is true for frames of 802.3 with a header that has a type.
func (g *generator) snap(organization, frameType uint32) *formula {
	return and(g.isLength(), g.inSNAP(organization, frameType))
}

func (g *generator) inSNAP(organization, frameType uint32) *formula {
	return and(equal(g.payload+4, 4, organization<<16|frameType), equal(g.payload, 4, 0xaaaa0300|organization>>16))
}
