// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// expressions are the values of params for packet filters, by their keys.
func expressions(t testing.TB, img *image.Image, byKey map[string]string) map[string]image.Value {
	t.Helper()
	values := make(map[string]image.Value)
	for key, text := range byKey {
		p, ok := img.Param(key)
		if !ok {
			t.Fatalf("the gadget has no param %q", key)
		}
		v, err := p.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		values[p.Var] = v
	}
	return values
}

// filtering loads the programs of testdata/filters, some of which have no way to be attached yet.
func filtering(t *testing.T, byKey map[string]string, copies func() bool) *ebpf.Collection {
	t.Helper()
	img := parse(t, "filters")
	values := expressions(t, img, byKey)
	spec, err := img.Spec(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs["on_socket"].Type = ebpf.SocketFilter
	spec.Programs["on_egress"].Type, spec.Programs["on_ingress"].Type = ebpf.SchedCLS, ebpf.SchedCLS
	if err := prepare.SetPacketFilters(spec, img.PacketFilters(values), copies); err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(coll.Close)
	return coll
}

// packetTo is a TCP packet to a port, with options in the header of IP or without.
func packetTo(port uint16, options int) []byte {
	p := make([]byte, 14+20+options+20+30)
	p[12], p[13] = 8, 0
	p[14] = 0x45 + byte(options/4)
	p[23] = unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(p[14+20+options+2:], port)
	return p
}

// All programs that call a filter get it, and each filter is the one of its param.
func TestPacketFilters(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range []struct {
		params map[string]string
		want   [3]uint32 // for port 80, port 81 and port 80 behind options
	}{
		{nil, [3]uint32{3, 3, 3}},
		{map[string]string{"pf": " "}, [3]uint32{3, 3, 3}},
		{map[string]string{"pf": "tcp port 80"}, [3]uint32{3, 2, 3}},
		{map[string]string{"pf-loud": "tcp port 80"}, [3]uint32{3, 1, 3}},
		{map[string]string{"pf": "tcp port 80", "pf-loud": "port 81 or greater 86"}, [3]uint32{1, 2, 3}},
		{map[string]string{"pf": "not ip", "pf-loud": "arp"}, [3]uint32{0, 0, 0}},
		{map[string]string{"pf": "vlan", "pf-loud": "not vlan 5"}, [3]uint32{2, 2, 2}},
	} {
		for _, copies := range []bool{true, false} {
			coll := filtering(t, c.params, func() bool { return copies })
			for name, before := range map[string]int{"on_socket": 14, "on_egress": 0, "on_xdp": 0} {
				for i, p := range [][]byte{packetTo(80, 0), packetTo(81, 0), packetTo(80, 8)} {
					got, err := coll.Programs[name].Run(&ebpf.RunOptions{Data: append(make([]byte, before), p...)})
					if err != nil {
						t.Fatal(err)
					}
					if got != c.want[i] {
						t.Errorf("%v: %s: packet %d: got %d, want %d", c.params, name, i, got, c.want[i])
					}
				}
			}
		}
	}
}

// A gadget with a filter reports the packets that match.
func TestPacketFilterOfGadget(t *testing.T) {
	inOwnNetwork(t)
	conn, port := listenUDP(t)
	for expression, want := range map[string]int{"": 1, "udp and greater 100": 1, "udp and greater 200": 0, "ip6": 0} {
		img := parseWith(t, "filters", only("on_packet", "lo", "on_packet", "on_socket", "on_egress", "on_ingress", "on_xdp"))
		g := start(t, img, LoadOptions{Params: expressions(t, img, map[string]string{"pf": expression})})
		if _, err := conn.WriteTo(make([]byte, 100), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		if rows := drain(t, g.source(t)).rows; len(rows) != want {
			t.Errorf("%q: got %d packets to port %d, want %d", expression, len(rows), port, want)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	img := parseWith(t, "filters", only("on_packet", "lo", "on_packet", "on_socket", "on_egress", "on_ingress", "on_xdp"))
	err := refusal(t, img, LoadOptions{Params: map[string]image.Value{"gadget_pf_": image.Value("tcp prot 80")}})
	mustSay(t, err, `packet filter: column 5: unknown word "prot"`)
}

// What lies beyond the linear part of a packet is read, too.
func TestPacketFilterReadsFragments(t *testing.T) {
	inOwnNetwork(t)
	coll := filtering(t, map[string]string{"pf": "tcp[1000:4] = 0x67697a6d"}, kernel.HasStackOffsets)
	tap, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.ETH_P_ALL<<8&0xff00|unix.ETH_P_ALL>>8)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(tap)
	if err := unix.SetsockoptInt(tap, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, coll.Programs["on_socket"].FD()); err != nil {
		t.Fatal(err)
	}
	classifier, err := link.AttachTCX(link.TCXOptions{Interface: 1, Program: coll.Programs["on_ingress"], Attach: ebpf.AttachTCXEgress})
	switch {
	case errors.Is(err, link.ErrNotSupported): // before Linux 6.6
		t.Log(err)
	case err != nil:
		t.Fatal(err)
	default:
		defer classifier.Close()
	}
	c := connect(t, listen(t))
	if _, err := c.from.Write([]byte(strings.Repeat("gizm", 2000))); err != nil {
		t.Fatal(err)
	}
	var matched uint32
	if err := coll.Variables["matched"].Get(&matched); err != nil {
		t.Fatal(err)
	}
	want := uint32(2) // the tap sees the packet leave and arrive
	if classifier != nil {
		want++
	}
	if matched != want {
		t.Errorf("the filter matched %d times, want %d", matched, want)
	}
}

// The image shows the params, and refuses what does not parse.
func TestPacketFilterParams(t *testing.T) {
	img := parse(t, "filters")
	var keys []string
	for i := range img.Params {
		keys = append(keys, img.Params[i].Key+" "+img.Params[i].Type()+" "+img.Params[i].Default)
		if img.Params[i].Description == "" {
			t.Errorf("%s: no description", img.Params[i].Key)
		}
	}
	if want := []string{"pf string ", "pf-loud string "}; !slices.Equal(keys, want) {
		t.Fatalf("got %q, want %q", keys, want)
	}
	_, err := img.Params[1].Parse("tcp prot 80")
	mustSay(t, err, `param "pf-loud": column 5: unknown word "prot"; did you mean "port"?`)
}

// gadget.yaml may have a default, another name and another description.
func TestPacketFilterInMetadata(t *testing.T) {
	yaml := "name: test\nparams:\n  ebpf:\n    gadget_pf_:\n      key: filter\n      description: Packets\n      defaultValue: arp\n"
	img := parseWith(t, "filters", yaml)
	p, ok := img.Param("filter")
	if !ok || p.Description != "Packets" || p.Default != "arp" {
		t.Fatalf("got %+v", p)
	}
	if got := img.PacketFilters(nil)["gadget_pf_"]; got != "arp" {
		t.Errorf("the default is %q", got)
	}
	if got := img.PacketFilters(map[string]image.Value{"gadget_pf_": {}}); len(got) > 0 {
		t.Errorf("the user's empty expression: %q", got)
	}
	if _, err := parseObject(fixture.Compile(t, "filters").Object, strings.Replace(yaml, "arp", "arpp", 1)); err == nil {
		t.Error("a default that does not parse: no error")
	} else {
		mustSay(t, err, `unknown word "arpp"; did you mean "arp"?`)
	}
}

// Programs without packets cannot have a filter.
func TestPacketFilterNeedsPackets(t *testing.T) {
	img := parse(t, "filters")
	spec, err := img.Spec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs["on_socket"].Type = ebpf.SkSKB
	err = prepare.SetPacketFilters(spec, map[string]string{"gadget_pf_": "arp"}, kernel.HasStackOffsets)
	mustSay(t, err, "program on_socket: a program of the type SkSKB has no packets that begin with an Ethernet header")
}

// The sources of others get their filters in every program that calls them.
func TestPacketFiltersOfOthers(t *testing.T) {
	kerneltest.RequireRoot(t)
	headers := "../include/gadget/testdata/wild/"
	for source, calls := range map[string]int{
		"../test/wild/corpus/pktlog/program.bpf.c": 2, "../test/wild/corpus/tc_classifier/program.bpf.c": 2,
		headers + "packets.bpf.c": 2, headers + "packets_user_types.bpf.c": 1,
	} {
		folder := t.TempDir()
		code, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "program.bpf.c"), code, 0o600); err != nil {
			t.Fatal(err)
		}
		built, err := build.Dir(t.Context(), folder, nil)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		img, err := image.Parse(bytes.NewReader(built.Object), nil)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		for _, expression := range []string{"tcp port 9 and host 10.0.0.1", "vlan 5 and ip[ip[0]:2] / len > 3", manyHosts(120)} {
			loadOthers(t, source, img, expression, calls)
		}
	}
}

// manyHosts returns an expression of n addresses.
func manyHosts(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("host 10.0.0.%d", i)
	}
	return strings.Join(all, " or ")
}

// loadOthers loads the programs that have filters, which all get the same expression.
func loadOthers(t *testing.T, source string, img *image.Image, expression string, calls int) {
	t.Helper()
	values := make(map[string]image.Value)
	for i := range img.Params {
		if p := &img.Params[i]; strings.HasPrefix(p.Var, "gadget_pf_") {
			values[p.Var] = image.Value(expression)
		}
	}
	spec, err := img.Spec(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := make(map[string]int)
	for name, p := range spec.Programs {
		before[name] = len(p.Instructions)
	}
	types, err := prepare.StandInForSockets(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare.SetPacketFilters(spec, img.PacketFilters(values), kernel.HasStackOffsets); err != nil {
		t.Fatal(err)
	}
	for name, p := range spec.Programs {
		if len(p.Instructions) == before[name] {
			delete(spec.Programs, name)
		}
	}
	if len(spec.Programs) != calls {
		t.Errorf("%s: %d programs have a filter, want %d", source, len(spec.Programs), calls)
	}
	options := ebpf.CollectionOptions{}
	if types != nil {
		options.Programs.ExtraRelocationTargets = []*btf.Spec{types}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, options)
	if err != nil {
		t.Errorf("%s: %.40s: %v", source, expression, err)
		return
	}
	coll.Close()
}
