// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// recorder is a connection that keeps what a client writes first.
type recorder struct {
	net.Conn
	first []byte
}

var errEnough = errors.New("enough")

func (r *recorder) Write(p []byte) (int, error) {
	r.first = append([]byte(nil), p...)
	return 0, errEnough
}

func (r *recorder) Close() error { return nil }

// clientHello returns the first record of a TLS client.
func clientHello(t testing.TB, name string) string {
	t.Helper()
	r := new(recorder)
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true}
	if err := tls.Client(r, config).Handshake(); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return string(r.first)
}

// flow sends data over TCP, in segments.
type flow struct {
	*program
	seq  uint32
	port int
}

func loadSNI(t testing.TB, kind ebpf.ProgramType) *program {
	return load(t, "trace_sni", kind, nil, "name", "src", "dst", "netns_id")
}

func (f *flow) send(t testing.TB, data string) string {
	t.Helper()
	p := tcpHeader(f.port, 443, f.seq, 3) + data
	f.seq += uint32(len(data))
	return f.pass(t, layers{ethernet(ip4), ipv4(tcp, 20+len(p), 0, 0), p}.packet())
}

const sniRow = "example.org 10.0.0.1:4000 10.0.0.2:443 4711"

func TestSNIPackets(t *testing.T) {
	hello := clientHello(t, "example.org")
	each(t, func(t *testing.T, kind ebpf.ProgramType) {
		p := loadSNI(t, kind)
		for _, c := range []struct{ what, data, want string }{
			{"whole", hello, sniRow},
			{"then more", hello + "more", sniRow},
			{"another kind of record", "\x17" + hello[1:], ""},
			{"another version", "\x16\x02" + hello[2:], ""},
			{"another message", hello[:5] + "\x02" + hello[6:], ""},
			{"an empty record", "\x16\x03\x01\x00\x00" + hello, ""},
			{"no data", "", ""},
			{"not TLS", "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", ""},
		} {
			f := &flow{p, 1000, 4000}
			wantRows(t, c.what, f.send(t, c.data), c.want)
		}
	})
}

// A hello that is cut in two at any place is found, once.
func TestSNIInTwoSegments(t *testing.T) {
	p := loadSNI(t, ebpf.SchedCLS)
	hello := clientHello(t, "example.org")
	for n := 1; n < len(hello); n++ {
		f := &flow{p, 1<<32 - 100, 4000}
		if got := strings.TrimSpace(f.send(t, hello[:n]) + "\n" + f.send(t, hello[n:])); got != sniRow {
			t.Fatalf("cut after %d of %d bytes: got %q", n, len(hello), got)
		}
	}
}

// Hellos of several flows at once, in segments and records of any size.
func TestSNIInPieces(t *testing.T) {
	p := loadSNI(t, ebpf.SchedCLS)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		names := []string{"a.example", "bb.example", "ccc.example"}
		var flows []*flow
		var rest []string
		for i, name := range names {
			flows = append(flows, &flow{p, random.Uint32(), 4000 + i})
			rest = append(rest, inRecords(random, clientHello(t, name)))
		}
		got := make([]string, len(names))
		for left := len(names); left > 0; {
			i := random.IntN(len(names))
			if rest[i] == "" {
				continue
			}
			n := 1 + random.IntN(min(len(rest[i]), 200))
			got[i] += flows[i].send(t, rest[i][:n])
			if rest[i] = rest[i][n:]; rest[i] == "" {
				left--
			}
		}
		for i, name := range names {
			if shown, _, _ := strings.Cut(got[i], " "); shown != name || strings.Count(got[i], "\n") > 0 {
				t.Fatalf("got %q, want %s", got[i], name)
			}
		}
	}
}

// inRecords distributes a record over several, of which none is so small that the limit of steps matters.
func inRecords(random *rand.Rand, record string) string {
	const header = 5
	var all string
	for body := record[header:]; body != ""; {
		n := min(len(body), 20+random.IntN(500))
		all += record[:header-2] + u16(n) + body[:n]
		body = body[n:]
	}
	return all
}

// A segment that is missing, or comes too late, ends the hello; the flow can begin another.
func TestSNISegmentMissing(t *testing.T) {
	p := loadSNI(t, ebpf.SchedCLS)
	hello := clientHello(t, "example.org")
	f := &flow{p, 1000, 4000}
	got := f.send(t, hello[:100])
	f.seq += 50
	got += f.send(t, hello[150:])
	wantRows(t, "with a gap", got, "")
	f = &flow{p, 1000, 4000}
	wantRows(t, "again", f.send(t, hello[:100])+f.send(t, hello[100:]), sniRow)
}

// Whatever lengths a hello claims, and whatever follows, the program ends and names nothing that is not there.
func TestSNIHostile(t *testing.T) {
	p := loadSNI(t, ebpf.SchedCLS)
	hello := clientHello(t, "example.org")
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		b := []byte(hello)
		for range 1 + random.IntN(4) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
		f := &flow{p, 1000, 4000}
		n := 1 + random.IntN(len(b)-1)
		for _, part := range [][]byte{b[:n], b[n:]} {
			name, _, _ := strings.Cut(f.send(t, string(part)), " ")
			if len(name) > 127 || name != "" && !strings.Contains(string(b), name) {
				t.Fatalf("got %q of %q", name, b)
			}
		}
	}
	tiny := strings.Repeat("\x16\x03\x01\x00\x01\x01", 600)
	f := &flow{p, 1000, 4000}
	wantRows(t, "records of one byte", f.send(t, tiny), "")
}
