// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

func TestAddressParam(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "address", "params: {ebpf: {only: {key: ip, defaultValue: \"\", description: Only this address}}}")
	p, ok := img.Param("ip")
	if !ok || p.Type() != "ip" || p.Default != "" || p.IsBool() {
		t.Fatalf("%+v", p)
	}
	const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ text, addr, version, again string }{
		{"192.0.2.1", "\xc0\x00\x02\x01" + zeros, "\x04", "192.0.2.1"},
		{"0.0.0.0", "\x00\x00\x00\x00" + zeros, "\x04", "0.0.0.0"},
		{"2001:db8::1", "\x20\x01\x0d\xb8" + zeros[:11] + "\x01", "\x06", "2001:db8::1"},
		{"::", "\x00\x00\x00\x00" + zeros, "\x06", "::"},
		{"::ffff:192.0.2.1", "\xc0\x00\x02\x01" + zeros, "\x04", "192.0.2.1"},
	} {
		v, err := p.Parse(c.text)
		if err != nil || len(v) != int(p.field.Size) || string(v[:17]) != c.addr+c.version {
			t.Errorf("%s: % x, %v", c.text, []byte(v), err)
			continue
		}
		if got := p.format(v); got != c.again {
			t.Errorf("%s became %s", c.text, got)
		}
	}
	for _, text := range []string{"", "localhost", "192.0.2", "192.0.2.1/24", "192.0.2.1:80", "[::1]", "fe80::1%eth0"} {
		want := `param "ip": "` + text + `" is not an IP address such as 192.0.2.1 or 2001:db8::1`
		if v, err := p.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: % x, %v", text, []byte(v), err)
		}
	}
	if got := p.format(make(Value, p.field.Size)); got != "" {
		t.Errorf("no address is %q", got)
	}
}

func TestAddressDefault(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "address", "params: {ebpf: {only: {defaultValue: 192.0.2.7}}}")
	p, _ := img.Param("only")
	if p.Default != "192.0.2.7" || p.format(p.initial) != "192.0.2.7" {
		t.Errorf("default %q, % x", p.Default, []byte(p.initial))
	}
	_, err := parseObject(fixture.Compile(t, "address").Object, "params: {ebpf: {only: {defaultValue: x}}}")
	if err == nil {
		t.Error("a default that is no address is accepted")
	}
}

// Only the struct of that name is an address, and only if it has the members.
func TestAddressLayout(t *testing.T) {
	t.Parallel()
	octet := &btf.Int{Name: "__u8", Size: 1}
	sixteen := &btf.Array{Index: octet, Type: octet, Nelems: 16}
	for _, c := range []struct {
		name string
		t    btf.Type
		want *addressLayout
	}{
		{"a number", octet, nil},
		{"another struct", &btf.Struct{Name: "other", Size: 32, Members: []btf.Member{{Name: "addr_raw", Type: sixteen}}}, nil},
		{"no version", &btf.Struct{Name: addressStruct, Size: 16, Members: []btf.Member{{Name: "addr_raw", Type: sixteen}}}, nil},
		{"a short address", &btf.Struct{Name: addressStruct, Size: 2, Members: []btf.Member{
			{Name: "addr_raw", Type: octet}, {Name: "version", Type: octet, Offset: 8},
		}}, nil},
		{"turned round", &btf.Const{Type: &btf.Struct{Name: addressStruct, Size: 32, Members: []btf.Member{
			{Name: "version", Type: octet}, {Name: "addr_raw", Type: sixteen, Offset: 128},
		}}}, &addressLayout{bytes: 16, version: 0}},
	} {
		got := addressOf(c.t)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
