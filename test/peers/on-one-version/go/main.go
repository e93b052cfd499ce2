// A backend in Go's net/http: HTTP/2 over TLS, chosen by ALPN. It says its port, and then whatever has been called off.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	flag.Parse()

	http.HandleFunc("/go/hello", hello)
	http.HandleFunc("/go/bytes", size)
	http.HandleFunc("/go/digest", digest)
	http.HandleFunc("/go/echo", echo)
	http.HandleFunc("/go/hints", hints)
	http.HandleFunc("/go/refuse", refuse)
	http.HandleFunc("/go/silent", silent)
	http.HandleFunc("/go/turns", turns)
	http.HandleFunc("/go/abort", abort)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{}
	ended := make(chan struct{})
	go func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		// GOAWAY; what is under way ends first.
		if err := server.Shutdown(context.Background()); err != nil {
			log.Fatal(err)
		}
		close(ended)
	}()
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	if err := server.ServeTLS(listener, *cert, *key); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s %s", r.Method, r.Proto, r.Host)
}

// As many bytes as ?size= says, of its low byte.
func size(w http.ResponseWriter, r *http.Request) {
	length, _ := strconv.Atoi(r.FormValue("size"))
	body := make([]byte, length)
	for index := range body {
		body[index] = byte(length)
	}
	if r.FormValue("counted") != "" {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.Write(body)
}

// Says what has come once all of it has: its digest and, where there are any, the trailers.
func digest(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	io.Copy(hash, r.Body)
	fmt.Fprintf(w, "%d %s %s", r.ContentLength, hex.EncodeToString(hash.Sum(nil)), r.Trailer.Get("X-Sum"))
}

// Sends back what comes as it comes, and behind it the digest of that.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Digest")
	hash := sha256.New()
	io.Copy(w, io.TeeReader(r.Body, hash))
	w.Header().Set("X-Digest", hex.EncodeToString(hash.Sum(nil)))
	w.Header().Set(http.TrailerPrefix+"X-Unannounced", "yes")
}

func hints(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", "</a.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Write([]byte("hinted"))
}

// Answers before the body has come, and does not read it.
func refuse(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusUnauthorized)
	w.Write([]byte("who are you?"))
}

func silent(w http.ResponseWriter, r *http.Request) {
	fmt.Printf("came %s\n", r.URL.RawQuery)
	<-r.Context().Done()
	fmt.Printf("called off %s\n", r.URL.RawQuery)
}

// A line for each line that comes.
func turns(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	buffer := make([]byte, 1024)
	for {
		length, err := r.Body.Read(buffer)
		if length > 0 {
			w.Write(buffer[:length])
			w.(http.Flusher).Flush()
		}
		if err != nil {
			return
		}
	}
}

// Ends in the middle: the stream is reset.
func abort(w http.ResponseWriter, r *http.Request) {
	w.Write([]byte("half"))
	w.(http.Flusher).Flush()
	time.Sleep(10 * time.Millisecond)
	panic(http.ErrAbortHandler)
}
