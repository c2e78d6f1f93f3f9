import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.CertificatePinner;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/**
 * A client that trusts the proxy's CA and pins another certificate: what most Android apps are.
 * Arguments: the proxy's port, its CA (PEM), the host, how many tries, "pin" or "trust".
 * It stays until its input ends, as an app does.
 */
public class Pinning {
  public static void main(String[] given) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream ca = new FileInputStream(given[1])) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(ca));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(given[0]));
    OkHttpClient.Builder made =
        new OkHttpClient.Builder()
            .proxy(new Proxy(Proxy.Type.HTTP, address))
            .sslSocketFactory(
                tls.getSocketFactory(), (X509TrustManager) trust.getTrustManagers()[0])
            .retryOnConnectionFailure(false);
    if (given[4].equals("pin")) {
      String none = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
      made.certificatePinner(new CertificatePinner.Builder().add(given[2], none).build());
    }
    OkHttpClient client = made.build();
    Request request = new Request.Builder().url("https://" + given[2] + "/a.txt").build();
    for (int tried = 0; tried < Integer.parseInt(given[3]); tried++) {
      try (Response answer = client.newCall(request).execute()) {
        System.out.println(answer.code());
      } catch (IOException failure) {
        System.out.println(failure.getClass().getSimpleName());
      }
    }
    System.out.println("done");
    System.in.read();
    System.exit(0);
  }
}
